"""Guarded writes: every move of the tables is made, every other one is not."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Table, insert, select

from dispatch.models.identity import uuid7
from dispatch.models.states import (
    AGENT_MOVES,
    BEAD_MOVES,
    RUN_MOVES,
    STEP_MOVES,
    AgentState,
    BeadStatus,
    Move,
    RunState,
    StepState,
)
from dispatch.store import guard, schema
from dispatch.store.transaction import Transaction

TABLES = [
    pytest.param(table, moves, states, id=table.name)
    for table, moves, states in (
        (schema.runs, RUN_MOVES, RunState),
        (schema.steps, STEP_MOVES, StepState),
        (schema.agents, AGENT_MOVES, AgentState),
        (schema.beads, BEAD_MOVES, BeadStatus),
    )
]


def _insert(tx: Transaction, table: Table, state: str, worker: Any) -> Any:
    """Put one row in a state into the table, and return the condition that finds it."""
    run = {"project_id": "shop", "bead_id": "shop-1", "role": "dev", "attempt": 1, "timeout_seconds": 1.0}
    row: dict[str, Any] = {"id": uuid7(), "state": state}
    step = {"id": uuid7(), "project_id": "shop", "bead_id": "shop-1", "size": 1, "created_at": tx.now()}
    if table is schema.beads:
        tx.connection.execute(schema.beads.update().values(status=state))
        return schema.beads.c.id == "shop-1"
    if table is schema.steps:
        row = {**step, "state": state}
    if table is schema.agents:
        row |= {"incarnation_id": worker, "name": "one"}
    if table is schema.runs:
        tx.connection.execute(insert(schema.steps).values(**step, state=StepState.OPEN))
        row |= {**run, "step_id": step["id"], "position": 0, "writes_branch": True, "created_at": tx.now()}
    tx.connection.execute(insert(table).values(**row))
    return table.c.id == row["id"]


@pytest.mark.parametrize(("table", "moves", "states"), TABLES)
def test_a_row_moves_as_its_table_allows_and_not_otherwise(
    scene: Any, table: Table, moves: Mapping[Any, Move], states: Any
) -> None:
    scene.bead()
    worker = scene.worker(agents=0)
    column = table.c["status" if table is schema.beads else "state"]
    found: dict[tuple[str, str], str] = {}
    for event in moves:
        for state in states:
            with scene.store.engine.connect() as connection:
                tx = Transaction(connection, scene.clock)
                where = _insert(tx, table, state, worker)
                moved = guard.move_one(tx.connection, table, event, where)
                now = tx.connection.execute(select(column).where(where)).scalar_one()
            assert (moved is not None) is (state in moves[event].sources), (event, state)
            found[event, state] = now
    expected = {
        (event, state): move.target if state in move.sources else state
        for event, move in moves.items()
        for state in states
    }
    assert found == expected


def test_a_move_touches_only_the_rows_it_was_asked_for(scene: Any) -> None:
    worker = scene.worker(agents=3)
    first, *others = scene.agents_of(worker)
    with scene.store.units.begin() as tx:
        moved = guard.move(tx.connection, schema.agents, "reserve", schema.agents.c.id == first.id)
    assert [row.id for row in moved] == [first.id]
    assert [agent.state for agent in scene.agents_of(worker)] == ["reserved", "idle", "idle"]
    assert len(others) == 2


def test_what_is_written_with_a_move_is_not_written_without_it(scene: Any) -> None:
    key = scene.bead(status="closed")
    with scene.store.units.begin() as tx:
        moved = guard.move_one(
            tx.connection, schema.beads, "claim", schema.beads.c.id == key.bead_id, values={"refusal": "none"}
        )
    assert moved is None
    assert scene.read(key).refusal == ""
