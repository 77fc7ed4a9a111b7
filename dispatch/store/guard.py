"""Guarded writes: the one way a state changes.

The `WHERE state IN (...)` of each update comes from the transition tables of `models.states`, so that no write can
make a move that the table does not allow. No row changed means that somebody else moved it first: the caller gets
nothing, and decides what that means.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, update

from dispatch.models.states import AGENT_MOVES, BEAD_MOVES, RUN_MOVES, STEP_MOVES, Move
from dispatch.store import schema

_MOVES: Mapping[str, Mapping[Any, Move]] = {
    schema.runs.name: RUN_MOVES,
    schema.agents.name: AGENT_MOVES,
    schema.steps.name: STEP_MOVES,
    schema.beads.name: BEAD_MOVES,
}
_STATE_COLUMN = {schema.beads.name: "status"}


def move(
    connection: Connection,
    table: Table,
    event: str,
    *where: ColumnElement[bool],
    values: Mapping[str, Any] | None = None,
) -> list[Row[Any]]:
    """Apply `event` to the rows that match and may make that move; return the rows that did, as they are now."""
    allowed = _MOVES[table.name][event]
    column = table.c[_STATE_COLUMN.get(table.name, "state")]
    changes = {column.name: allowed.target, **(values or {})}
    statement = update(table).where(*where, column.in_(sorted(allowed.sources))).values(**changes).returning(*table.c)
    return list(connection.execute(statement))


def move_one(
    connection: Connection,
    table: Table,
    event: str,
    *where: ColumnElement[bool],
    values: Mapping[str, Any] | None = None,
) -> Row[Any] | None:
    """Apply `event` to at most one row and return it as it is now, or None when it could not make the move."""
    rows = move(connection, table, event, *where, values=values)
    return rows[0] if rows else None
