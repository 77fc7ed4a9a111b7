"""Why a bead is not going: one sentence each, the first reason that holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.agent import Agent
from dispatch.models.bead import NEVER_DISPATCHED_TYPES, Bead
from dispatch.models.dispatching import Supply
from dispatch.models.identity import AgentId, BeadId, ProjectId, RunId, StepId, uuid7
from dispatch.models.project import Project
from dispatch.models.run import Run
from dispatch.models.states import RunState
from dispatch.readiness.reasons import READY, Situation, explain, explain_all

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
SHOP = Project(id=ProjectId("shop"), path=Path("/srv/shop"), prefix="shop")
DEV = Agent(id=AgentId(uuid7()), name="one@host/1", roles=("dev",))
SUPPLY = Supply(agents=(DEV,), served_roles=frozenset({"dev"}), open_by_role={"dev": 1}, projects=(SHOP,))
RUN = Run(
    id=RunId(uuid7()),
    step_id=StepId(uuid7()),
    index=0,
    project_id=SHOP.id,
    bead_id=BeadId("shop-1"),
    role="dev",
    attempt=2,
    timeout=timedelta(minutes=30),
    state=RunState.RUNNING,
    agent_name="one@host/1",
)


def _why(bead: dict[str, Any] | None = None, **rest: Any) -> str:
    return explain(_situation(bead, **rest))


def _situation(bead: dict[str, Any] | None = None, **rest: Any) -> Situation:
    made = Bead(id=BeadId("shop-1"), title="Sell", project_id=SHOP.id, **(bead or {}))
    usual: dict[str, Any] = {
        "now": NOON,
        "supply": SUPPLY,
        "role": "dev",
        "blockers": (),
        "run": None,
        "slots": 0,
        "max_running": 0,
    }
    return Situation(bead=made, **(usual | rest))


@pytest.mark.parametrize(
    ("any_from", "sentence"),
    [
        (None, "No live worker serves the role qa: start one with `-Q role.qa`."),
        (
            NOON + timedelta(minutes=1),
            "No live worker serves the role qa; any agent may take it from 2026-09-25 12:01:00 UTC on.",
        ),
        (NOON, "No live worker serves the role qa; it has waited for one, and any agent may take it now."),
    ],
)
def test_a_role_that_nobody_serves_says_how_long_it_is_waited_for(any_from: datetime | None, sentence: str) -> None:
    assert _why(role="qa", any_from=any_from) == sentence


def test_a_bead_that_can_go_says_so() -> None:
    assert _why() == "It is ready and goes with the next tick."


@pytest.mark.parametrize(
    ("bead", "sentence"),
    [
        ({"status": "closed"}, "It is closed."),
        ({"status": "closed", "close_reason": "Not wanted"}, "It is closed: Not wanted."),
        ({"status": "closed", "close_reason": "Landed on main."}, "It is closed: Landed on main."),
        ({"status": "landing"}, "Its work is done and waits to land on the target branch."),
        ({"status": "landing", "refusal": "The checkout has changes."}, "The checkout has changes."),
        ({"status": "tombstone"}, "It was deleted."),
        ({"status": "deferred"}, "Its status is deferred; only open beads are dispatched."),
        (
            {"status": "in_progress"},
            "Its tracker has it in_progress, but no run here holds it: `dispatch adopt shop/shop-1` opens it.",
        ),
        ({"issue_type": "decision"}, "It is a decision: only a human can settle it."),
        ({"labels": ("web", "human")}, "Its label 'human' keeps it for a human."),
        ({"issue_type": "epic"}, "Beads of type epic are not given to agents."),
        ({"pinned": True}, "It is pinned: it stays as a note."),
        ({"ephemeral": True}, "It is ephemeral: it is not work."),
        ({"blocked": True}, "It waits for itself, through a cycle of its blockers."),
        (
            {"ready_from": NOON + timedelta(hours=1)},
            "It is deferred until 2026-09-25 13:00:00 UTC.",
        ),
        (
            {"ready_from": NOON + timedelta(seconds=20), "failures": 2},
            "It cools down after 2 failed run(s) until 2026-09-25 12:00:20 UTC.",
        ),
        ({"ready_from": NOON}, "It is ready and goes with the next tick."),
    ],
)
def test_the_bead_itself_can_be_the_reason(bead: dict[str, Any], sentence: str) -> None:
    assert _why(bead) == sentence


@pytest.mark.parametrize("issue_type", sorted(NEVER_DISPATCHED_TYPES))
def test_a_type_that_is_never_dispatched_never_says_ready(issue_type: str) -> None:
    assert "ready" not in _why({"issue_type": issue_type})


def test_an_open_run_goes_before_all_else() -> None:
    said = _why({"status": "in_progress", "blocked": True}, run=RUN)
    assert said == f"It is running as run {RUN.id} (attempt 2) with one@host/1."


def test_blockers_are_named() -> None:
    assert (
        _why({"blocked": True}, blockers=("shop-0 (open)", "its parent")) == "It waits for shop-0 (open), its parent."
    )


@pytest.mark.parametrize(
    ("supply", "rest", "sentence"),
    [
        (replace(SUPPLY, paused=True), {}, "The system is paused: no reason given."),
        (replace(SUPPLY, paused=True, pause_reason="lunch"), {}, "The system is paused: lunch."),
        (
            replace(SUPPLY, projects=(replace(SHOP, paused=True, pause_reason="Harvest."),)),
            {},
            "The project shop is paused: Harvest.",
        ),
        (
            replace(SUPPLY, agents=(), served_roles=frozenset()),
            {},
            "No worker is alive: start one with `dispatch up` or the Celery command.",
        ),
        (SUPPLY, {"role": "qa"}, "No live worker serves the role qa: start one with `-Q role.qa`."),
        (replace(SUPPLY, agents=()), {}, "All agents of the role dev are busy."),
        (replace(SUPPLY, agents=()), {"role": None}, "All agents are busy."),
        (
            replace(SUPPLY, agents=(), troubles={"two@b": "It is ill.", "one@a": "Its disk is full."}),
            {},
            "All agents of the role dev are busy or cannot work. "
            "one@a takes nothing: Its disk is full. two@b takes nothing: It is ill.",
        ),
        (SUPPLY, {"slots": 1}, "The role dev has all its slots in use (slots = 1)."),
        (SUPPLY, {"slots": 2, "max_running": 1}, "As many runs as allowed are open (max_running = 1)."),
        (SUPPLY, {"slots": 2, "max_running": 2}, "It is ready and goes with the next tick."),
    ],
)
def test_the_surroundings_can_be_the_reason(supply: Supply, rest: dict[str, Any], sentence: str) -> None:
    assert _why(supply=supply, **rest) == sentence


def test_what_keeps_the_bead_itself_goes_before_its_surroundings() -> None:
    assert _why({"blocked": True}, supply=replace(SUPPLY, paused=True), blockers=("shop-0",)) == "It waits for shop-0."


ALL_THAT_CAN_BE: dict[str, Any] = {
    "bead": {"blocked": True, "ready_from": NOON + timedelta(seconds=20), "failures": 2, "labels": ("human",)},
    "supply": replace(SUPPLY, paused=True, agents=()),
    "blockers": ("shop-0 (open)",),
    "unready": "shop is not ready: No tests.",
    "breaker": "The last 5 runs of shop failed.",
    "spent": "The budget of shop is spent.",
    "slots": 1,
}
IN_ORDER = [
    "It waits for shop-0 (open).",
    "The system is paused: no reason given.",
    "shop is not ready: No tests.",
    "Its label 'human' keeps it for a human.",
    "It cools down after 2 failed run(s) until 2026-09-25 12:00:20 UTC.",
    "The last 5 runs of shop failed.",
    "The budget of shop is spent.",
    "All agents of the role dev are busy.",
    "The role dev has all its slots in use (slots = 1).",
]
LIFTS: list[tuple[str, Any]] = [
    ("bead", {"ready_from": NOON + timedelta(seconds=20), "failures": 2, "labels": ("human",)}),
    ("supply", replace(SUPPLY, agents=())),
    ("unready", None),
    ("bead", {"ready_from": NOON + timedelta(seconds=20), "failures": 2}),
    ("bead", {}),
    ("breaker", None),
    ("spent", None),
    ("supply", SUPPLY),
    ("slots", 0),
]


def test_all_reasons_come_in_the_order_of_the_steps() -> None:
    assert explain_all(_situation(**ALL_THAT_CAN_BE)) == IN_ORDER


def test_when_one_reason_is_lifted_the_next_one_is_told() -> None:
    left = dict(ALL_THAT_CAN_BE)
    for reason, (name, value) in zip(IN_ORDER, LIFTS, strict=True):
        assert explain(_situation(**left)) == reason
        left[name] = value
    assert explain(_situation(**left)) == READY


def test_a_bead_that_is_no_candidate_has_no_other_reason() -> None:
    beads = {**ALL_THAT_CAN_BE, "bead": {"status": "closed"}, "worth_knowing": ("No tests.",)}
    assert explain_all(_situation(**beads)) == ["It is closed."]


def test_what_is_worth_knowing_comes_last_and_stops_nothing() -> None:
    assert _why(worth_knowing=("No tests.",)) == READY
    assert explain_all(_situation(worth_knowing=("No tests.",))) == [READY, "No tests."]
