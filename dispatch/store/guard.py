"""Guarded writes: the one way a state changes.

The `WHERE state IN (...)` of each update comes from the transition tables of `models.states`, so that no write can
make a move that the table does not allow. No row changed means that somebody else moved it first: the caller gets
nothing, and decides what that means.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, update

from dispatch.models.states import AGENT_MOVES, BEAD_MOVES, RUN_MOVES, STEP_MOVES, Move
from dispatch.store import schema

_MOVES: Mapping[str, Mapping[Any, Move]] = {
    schema.runs.name: RUN_MOVES,
    schema.agents.name: AGENT_MOVES,
    schema.steps.name: STEP_MOVES,
    schema.beads.name: BEAD_MOVES,
}
_STATE_COLUMN = {schema.beads.name: "status"}


def allowed(table: Table, event: str) -> tuple[list[str], str]:
    """Return the states that `event` may happen in and the one it leads to, for a guard written out in SQL."""
    found = _MOVES[table.name][event]
    return sorted(found.sources), found.target


def sources(table: Table, event: str) -> str:
    """Return the states that `event` may happen in, as an SQL list for a statement that is written out."""
    return states(allowed(table, event)[0])


def target(table: Table, event: str) -> str:
    """Return the state that `event` leads to, as an SQL text."""
    return f"'{allowed(table, event)[1]}'"


def within(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of some states, with these in the text of the statement.

    As parameters they would not be known to a plan that PostgreSQL makes once for a prepared statement, and such a plan
    does without the partial indexes: it would read the whole table.
    """
    return column.in_(bindparam(None, sorted(values), expanding=True, literal_execute=True))


def states(values: Iterable[str]) -> str:
    """Return states as an SQL list."""
    return "(" + ", ".join(f"'{value}'" for value in sorted(values)) + ")"


def move(
    connection: Connection,
    table: Table,
    event: str,
    *where: ColumnElement[bool],
    values: Mapping[str, Any] | None = None,
) -> list[Row[Any]]:
    """Apply `event` to the rows that match and may make that move; return the rows that did, as they are now."""
    may, leads_to = allowed(table, event)
    column = table.c[_STATE_COLUMN.get(table.name, "state")]
    changes = {column.name: leads_to, **(values or {})}
    statement = update(table).where(*where, within(column, may)).values(**changes).returning(*table.c)
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
