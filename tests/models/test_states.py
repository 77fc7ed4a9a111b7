"""The transition tables are those of the protocol, and nothing else can move."""

from collections.abc import Mapping
from typing import Any

import pytest

from dispatch.models.states import (
    AGENT_MOVES,
    BEAD_MOVES,
    OPEN_RUN_STATES,
    RUN_MOVES,
    STEP_MOVES,
    AgentEvent,
    AgentState,
    BeadEvent,
    BeadStatus,
    Move,
    RunEvent,
    RunState,
    StepEvent,
    StepState,
)

RUN_TABLE = {
    "publish": ({"pending"}, "pending"),
    "start": ({"pending"}, "running"),
    "withdraw": ({"pending"}, "withdrawn"),
    "renew": ({"running"}, "running"),
    "ask to stop": ({"running"}, "running"),
    "hurry": ({"running"}, "running"),
    "report": ({"running"}, "reported"),
    "expire": ({"running"}, "reported"),
    "settle": ({"reported"}, "settled"),
}
STEP_TABLE = {"join": ({"open"}, "joined")}
AGENT_TABLE = {
    "reserve": ({"idle"}, "reserved"),
    "work": ({"idle", "reserved"}, "working"),
    "free": ({"reserved", "working"}, "idle"),
    "leave": ({"idle", "reserved", "working"}, "gone"),
}
BEAD_TABLE = {
    "claim": ({"open"}, "in_progress"),
    "return": ({"in_progress"}, "open"),
    "await landing": ({"in_progress"}, "landing"),
    "finish": ({"in_progress"}, "closed"),
    "land": ({"landing"}, "closed"),
    "bounce": ({"landing"}, "open"),
    "release": ({"open"}, "landing"),
    "conclude": ({"open"}, "closed"),
    "adopt": ({"in_progress", "hooked"}, "open"),
}

TABLES = [
    pytest.param(RUN_MOVES, RUN_TABLE, RunEvent, RunState, id="run"),
    pytest.param(STEP_MOVES, STEP_TABLE, StepEvent, StepState, id="step"),
    pytest.param(AGENT_MOVES, AGENT_TABLE, AgentEvent, AgentState, id="agent"),
    pytest.param(BEAD_MOVES, BEAD_TABLE, BeadEvent, BeadStatus, id="bead"),
]


@pytest.mark.parametrize(("moves", "table", "events", "states"), TABLES)
def test_the_moves_are_exactly_those_of_the_protocol(
    moves: Mapping[Any, Move], table: dict[str, tuple[set[str], str]], events: Any, states: Any
) -> None:
    assert {str(event): (set(move.sources), str(move.target)) for event, move in moves.items()} == table


@pytest.mark.parametrize(("moves", "table", "events", "states"), TABLES)
def test_every_event_has_a_move_between_known_states(
    moves: Mapping[Any, Move], table: Any, events: Any, states: Any
) -> None:
    assert set(moves) == set(events)
    known = set(states)
    assert all(move.sources <= known and move.target in known for move in moves.values())


@pytest.mark.parametrize(
    ("moves", "first", "states"),
    [
        pytest.param(RUN_MOVES, {RunState.PENDING}, set(RunState), id="run"),
        pytest.param(STEP_MOVES, {StepState.OPEN}, set(StepState), id="step"),
        pytest.param(AGENT_MOVES, {AgentState.IDLE}, set(AgentState), id="agent"),
        pytest.param(
            BEAD_MOVES,
            {BeadStatus.OPEN, BeadStatus.HOOKED},
            {"open", "hooked", "in_progress", "landing", "closed"},
            id="bead",
        ),
    ],
)
def test_every_event_can_happen_from_the_first_state_on(
    moves: Mapping[Any, Move], first: set[str], states: set[str]
) -> None:
    reached = set(first)
    while grown := {move.target for move in moves.values() if move.sources & reached} - reached:
        reached |= grown
    assert reached == states
    assert all(move.sources & reached for move in moves.values())


def test_nothing_leaves_a_final_state() -> None:
    final = {RunState.SETTLED, RunState.WITHDRAWN, StepState.JOINED, AgentState.GONE, BeadStatus.CLOSED}
    for moves in (RUN_MOVES, STEP_MOVES, AGENT_MOVES, BEAD_MOVES):
        assert not any(move.sources & final for move in moves.values())


def test_an_open_run_is_one_that_still_holds_its_agent() -> None:
    assert {RunState.PENDING, RunState.RUNNING, RunState.REPORTED} == OPEN_RUN_STATES
