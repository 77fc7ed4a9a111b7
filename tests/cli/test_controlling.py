"""`cancel`, `retry`, `reassign`, `stop`, and roles that are paused, called on a deployment whose worker is deaf."""

from typing import Any

import pytest

from dispatch.models.outcome import Failed, NeedsInput
from dispatch.models.states import RunState
from dispatch.settings import load_settings

ROLE = "backend-engineer"


@pytest.fixture
def shop(cli: Any, project: Any, beads_file: Any) -> Any:
    """Given the project `shop` with two beads that are ready."""
    cli("import", beads_file({"id": "s-1", "title": "One"}, {"id": "s-2", "title": "Two"}))
    return cli


@pytest.fixture(autouse=True)
def ada(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given that Ada is who calls."""
    monkeypatch.setenv("LOGNAME", "ada")


def test_a_cancelled_bead_says_why_it_is_held_until_it_is_tried_again(shop: Any, claimed: Any, store: Any) -> None:
    run_id = claimed("s-1")
    said = shop("cancel", "s-1", "--reason", "Not like this.")
    assert (said.code, said.out) == (
        0,
        "Cancelled shop/s-1: no agent had begun it. It is on hold until `dispatch retry shop/s-1`.\n",
    )
    assert store.settling.find_run(run_id).state is RunState.WITHDRAWN
    held = "It is on hold: cancelled by ada: Not like this; `dispatch retry shop/s-1` lets it go on."
    assert shop("why", "s-1").out == f"shop/s-1: {held}\n"
    assert shop("show", "s-1", "--json").json["hold"] == "cancelled by ada: Not like this."
    plan = shop("plan", "--json").json
    assert [bead["id"] for bead in plan["going"]] == ["s-2"]
    assert {bead["id"]: bead["reason"] for bead in plan["waiting"]} == {"s-1": held}
    assert [bead["id"] for bead in shop("ready", "--json").json] == ["s-2"]

    assert shop("retry", "s-1").out == "shop/s-1 goes on.\n"
    assert [bead["id"] for bead in shop("ready", "--json").json] == ["s-1", "s-2"]


def test_cancelling_what_runs_says_how_long_its_agent_has(shop: Any, claimed: Any, store: Any) -> None:
    store.running.start(claimed("s-1"), store.swarm.workers()[0].id)
    assert shop("retry", "s-1").code == 4
    assert "its agent has 5s to end" in shop("cancel", "shop/s-1").out
    assert shop("cancel", "s-1", "--json").json == {"id": "s-1", "project": "shop", "withdrawn": 0, "running": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["cancel", "s-1"], 4, "Nothing runs for shop/s-1. `dispatch why shop/s-1` says more."),
        (["cancel", "nope"], 3, "There is no bead 'nope'"),
        (["retry", "nope"], 3, "There is no bead 'nope'"),
        (["reassign", "s-1", "backend-enginer"], 2, "backend-engineer"),
        (["reassign", "nope", ROLE], 3, "There is no bead 'nope'"),
        (["stop", "--project", "nope"], 3, "There is no project 'nope'"),
        (["stop", "--wait", "soon"], 2, "--wait 'soon' is no duration"),
        (["pause", "shop", "--role", ROLE], 2, "A role is paused in all projects"),
        (["pause", "--role", "backend-enginer"], 2, "backend-engineer"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    shop: Any, enlist: Any, arguments: list[str], code: int, told: str
) -> None:
    enlist(f"role.{ROLE}", agents=1)
    said = shop(*arguments)
    assert (said.code, said.out) == (code, "")
    assert told in said.err


def test_a_closed_bead_is_neither_cancelled_nor_tried_again_nor_given_away(shop: Any, enlist: Any) -> None:
    enlist(f"role.{ROLE}", agents=1)
    shop("close", "s-1")
    for command in (["cancel", "s-1"], ["retry", "s-1"], ["reassign", "s-1", ROLE]):
        said = shop(*command)
        assert (said.code, "shop/s-1 is closed" in said.err) == (4, True), said.err


def test_a_retry_after_a_failure_goes_at_once(shop: Any, ran: Any) -> None:
    ran("s-1", Failed(cause="exit 1"))
    assert "cools down" in shop("why", "s-1").out
    assert shop("retry", "s-1", "--json").json["why"] == "It is ready and goes with the next tick."
    assert "cools down" not in shop("why", "s-1").out


def test_a_retry_where_a_human_is_asked_decides_it(shop: Any, store: Any, project: Any) -> None:
    from dispatch.results.escalator import DecisionEscalator

    decision = DecisionEscalator(store).escalate_bead_to_ceo("s-1", "It does not get on.")
    assert shop("retry", decision.decision_id).code == 4, "that is no work"
    assert f"shop/s-1 goes on. Decided {decision.key}." in shop("retry", "s-1").out
    assert shop("inbox", "--json").json == []
    decision = DecisionEscalator(store).escalate_bead_to_ceo("s-2", "It does not get on.")
    said = shop("reassign", "s-2", "qa-engineer", "--json")
    assert (said.json["decision"], said.json["role"]) == (decision.decision_id, "qa-engineer")
    assert "No live worker serves the role qa-engineer" in said.err
    assert store.reading.bead(store.reading.resolve("s-2")).role_hint == "qa-engineer"


def test_a_question_is_answered_and_not_tried_again(shop: Any, ran: Any) -> None:
    ran("s-1", NeedsInput(question="Red or blue?"))
    said = shop("retry", "s-1")
    assert said.code == 4
    assert "waits for a decision that has no option retry, but answer, reassign, split, close" in said.err


def test_a_bead_is_given_to_another_role(shop: Any, claimed: Any, enlist: Any, store: Any) -> None:
    enlist("role.qa-engineer", agents=1)
    store.running.start(claimed("s-1"), next(w.id for w in store.swarm.workers() if ROLE in w.roles))
    refused = shop("reassign", "s-1", "qa-engineer")
    assert refused.code == 4
    assert "An agent has shop/s-1 now (running)" in refused.err
    given = shop("reassign", "s-1", "QA engineer", "--cancel")
    assert given.code == 0
    assert given.out.startswith("shop/s-1 goes to qa-engineer.\nIt is running as run ")
    assert shop("reassign", "s-2", "qa-engineer").out == "shop/s-2 goes to qa-engineer.\n"
    assert "ada decided that it goes to qa-engineer." in shop("why", "s-2").out


def test_a_role_is_paused_and_resumed(shop: Any, enlist: Any, store: Any, settings: Any) -> None:
    enlist(f"role.{ROLE}", agents=1)
    shop("add", "Three", "--role", ROLE, "--id", "s-3")
    paused = f"The role {ROLE} is paused: It learns."
    said = shop("pause", "--role", "Backend Engineer", "--reason", "It learns.")
    assert said.out == f"The role {ROLE} is paused; `dispatch resume --role {ROLE}` ends that.\n"
    assert shop("why", "s-3").out.startswith(f"shop/s-3: {paused}\n")
    assert shop("why", "s-1").out == "shop/s-1: All roles that live workers serve are paused.\n"
    assert shop("plan", "--json").json["going"] == []
    assert shop("status", "--json").json["paused_roles"] == {ROLE: "It learns."}
    assert f"{paused} `dispatch resume --role {ROLE}` ends that.\n" in shop("status").out
    assert shop("resume").out == f"The system goes on. Still paused: the role {ROLE}.\n"

    from dispatch.cli.idleness import is_idle

    chosen = load_settings(environ={"DISPATCH_HOME": str(settings.home)}, cwd=settings.home.parent)
    assert is_idle(store, chosen, lambda bead: bead.id == "s-3")
    assert shop("resume", "--role", ROLE).out == f"The role {ROLE} goes on.\n"
    assert not is_idle(store, chosen, lambda bead: bead.id == "s-3")
    assert [bead["id"] for bead in shop("plan", "--json").json["going"]] == ["s-1"]


def test_a_stop_pauses_takes_back_and_does_not_wait_for_ever(shop: Any, claimed: Any, store: Any) -> None:
    run_id = claimed("s-1")
    said = shop("stop")
    assert (said.code, said.out) == (0, "Nothing runs any more. Runs that were waited for: 0.\n")
    assert said.err == "The system is paused; `dispatch resume` ends that.\nTaken back before they started: 1.\n"
    assert store.settling.find_run(run_id).state is RunState.WITHDRAWN
    assert shop("why", "s-1").out == "shop/s-1: The system is paused: Stopped by ada.\n"
    shop("resume")

    started = store.running.start(claimed("s-1"), store.swarm.workers()[0].id)
    late = shop("stop", "--project", "shop", "--now", "--wait", "0s")
    assert (late.code, late.out) == (4, "")
    assert "shop is paused; `dispatch resume shop` ends that." in late.err
    assert "1 run(s) have not ended within 0s. `dispatch runs --open` lists them" in late.err
    assert store.running.renew(started.run.id, started.token).stop_reason == "stop"
