"""What the guards of projects say on the command line: `pause`, `resume`, `why --all-reasons`, `status`, `plan`."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatch.cli.idleness import is_idle
from dispatch.models.guarding import Readiness, RunSpending, Spent
from dispatch.models.outcome import Failed
from dispatch.settings import Settings


@pytest.fixture
def shop(cli: Any, project: Any, beads_file: Any) -> Any:
    """Given the project `shop` with six beads."""
    cli("import", beads_file(*({"id": f"s-{number}", "title": "Do", "priority": number % 5} for number in range(1, 7))))
    return cli


@pytest.fixture
def broken(shop: Any, ran: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Given that the last two runs failed for the same cause, and that two are enough."""
    monkeypatch.setenv("DISPATCH_GUARDS__BREAKER_FAILURES", "2")
    ran("s-5", Failed(cause="refused API key"))
    ran("s-1", Failed(cause="refused API key"))
    return shop


def test_a_project_is_paused_and_resumed(shop: Any, enlist: Any) -> None:
    enlist("role.backend-engineer", agents=1)
    assert shop("pause", "shop", "--reason", "lunch").out == ("shop is paused; `dispatch resume shop` ends that.\n")
    assert shop("why", "s-1").out == "shop/s-1: The project shop is paused: lunch.\n"
    assert shop("plan", "--json").json["going"] == []
    assert shop("resume", "shop").out == "shop goes on.\n"
    assert len(shop("plan", "--json").json["going"]) == 1


def test_the_system_is_paused_and_resumed(shop: Any, enlist: Any) -> None:
    enlist("role.backend-engineer", agents=1)
    assert shop("pause").out == "The system is paused; `dispatch resume` ends that.\n"
    assert shop("why", "s-1").out == "shop/s-1: The system is paused: no reason given.\n"
    assert shop("resume").out == "The system goes on.\n"
    assert len(shop("plan", "--json").json["going"]) == 1


def test_an_unknown_project_is_not_found(shop: Any) -> None:
    assert shop("pause", "nope").code == 3
    assert shop("resume", "nope").code == 3


def test_a_breaker_is_told_of_and_a_human_closes_it(broken: Any) -> None:
    begin = "shop/s-2: The last 2 runs of shop failed for the same cause (refused API key): one bead is tried from "
    assert broken("why", "s-2").out.startswith(begin)
    view = broken("plan", "--json").json
    assert view["going"] == []
    reasons = {bead["id"]: bead["reason"] for bead in view["waiting"]}
    assert all("refused API key" in reasons[bead_id] for bead_id in ("s-2", "s-3", "s-4", "s-6"))
    assert reasons["s-1"].startswith("It cools down after 1 failed run(s)")
    assert broken("resume", "shop").out == (
        "shop goes on. Its row of 2 failed run(s) (refused API key) is forgotten.\n"
    )
    assert len(broken("plan", "--json").json["going"]) == 1


def test_all_reasons_are_told_with_what_is_only_shown(broken: Any, store: Any, project: Any) -> None:
    store.guarding.set_paused(True, "lunch")
    lines = broken("why", "s-2", "--all-reasons").out.splitlines()
    view = broken("why", "s-2", "--all-reasons", "--json").json
    assert lines[0] == "shop/s-2: The system is paused: lunch."
    assert lines[1].startswith("shop/s-2: The last 2 runs of shop failed")
    assert lines[2] == "shop/s-2: No test command is set for [projects.shop]."
    assert view["reasons"] == [line.removeprefix("shop/s-2: ") for line in lines]
    assert view["reason"] == view["reasons"][0]


def test_status_shows_issues_and_what_was_spent(shop: Any, ran: Any, store: Any) -> None:
    run = store.settling.find_run(ran("s-5", Failed(cause="exit 1")))
    spent = Spent(usd=Decimal("1.5"), tokens_in=2000, tokens_out=30)
    store.guarding.charge(RunSpending(run_id=run.id, bead=run.bead_key, spent=spent))
    text = shop("status").out
    assert "used today: $1.50, 2,000 tokens in, 30 tokens out\n" in text
    assert "shop: No test command is set for [projects.shop].\n" in text
    view = shop("status", "--json").json
    assert view["spent_today"] == {"usd": 1.5, "tokens_in": 2000, "tokens_out": 30}
    assert view["projects"][0]["spent_today"] == view["spent_today"]
    assert view["projects"][0]["readiness_issues"] == ["No test command is set for [projects.shop]."]


def test_a_bead_over_its_cap_says_so(shop: Any, ran: Any, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCH_CAPS__BEAD_USD", "1")
    run = store.settling.find_run(ran("s-5", Failed(cause="exit 1")))
    spending = RunSpending(run_id=run.id, bead=run.bead_key, spent=Spent(usd=Decimal(1)))
    store.guarding.charge(spending)
    assert "It has used up the $1.00 that a bead may cost (bead_usd)." in shop("why", "s-5", "--all-reasons").out
    assert "bead_usd" not in shop("why", "s-1").out


def test_doctor_tries_the_readiness_check(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCH_GUARDS__READINESS_CHECK", "no_such_module:check")
    assert "no_such_module:check cannot be imported" in shop("doctor").out
    monkeypatch.setenv("DISPATCH_GUARDS__READINESS_CHECK", "os:getpid")
    assert "ok       readiness check: os:getpid" in shop("doctor").out


def _idle(store: Any, settings: Any, **sections: dict[str, Any]) -> bool:
    values = settings.model_dump()
    chosen = Settings.model_validate({**values, **{name: {**values[name], **sections[name]} for name in sections}})
    return is_idle(store, chosen, lambda bead: True)


def test_a_deployment_whose_projects_are_parked_is_idle(
    shop: Any, ran: Any, store: Any, settings: Any, project: Any
) -> None:
    blocks: dict[str, Any] = {"guards": {"readiness_mode": "block"}}
    assert not _idle(store, settings)
    assert not _idle(store, settings, **blocks), "whether the project is ready is not known yet"
    store.guarding.begin_checks([project.id], fresh=timedelta(0), limit=timedelta(0))
    store.guarding.end_check(project.id, Readiness(ok=False, issues=("No roof.",)))
    assert _idle(store, settings, **blocks)
    assert not _idle(store, settings)
    ran("s-5", Failed(cause="exit 1"))
    assert _idle(store, settings, guards={"breaker_failures": 1})


def test_beads_over_their_cap_leave_a_deployment_idle(
    cli: Any, project: Any, beads_file: Any, ran: Any, store: Any, settings: Any
) -> None:
    cli("import", beads_file({"id": "s-1", "title": "Dear"}))
    run = store.settling.find_run(ran("s-1", Failed(cause="exit 1")))
    assert not _idle(store, settings)
    store.guarding.charge(RunSpending(run_id=run.id, bead=run.bead_key, spent=Spent(usd=Decimal(1))))
    assert not _idle(store, settings, caps={"bead_usd": 2})
    assert _idle(store, settings, caps={"bead_usd": 1})
