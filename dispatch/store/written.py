"""Statements that are written out, for the few that every bead goes through.

They are handed to the driver as they are: building, caching and compiling an expression costs several times what the
driver and the server need for a statement that finds its row by a key. Everything else is written in SQLAlchemy.
"""

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

NOW = "COALESCE(CAST(:now AS timestamptz), clock_timestamp())"
"""The moment; the statement gets `Transaction.given` as its `now`."""
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


def written(statement: str) -> str:
    """Return a statement with parameters like `:name` as the driver takes it."""
    return _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%")).strip()


def run(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Run a `written` statement in the transaction of a connection; return its rows, which name their columns.

    Raises what SQLAlchemy raises for the same trouble.
    """
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor(row_factory=namedtuple_row) as cursor:
            cursor.execute(statement, parameters, prepare=True)
            return cursor.fetchall() if cursor.pgresult.nfields else []
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise _as_sqlalchemy(statement, parameters, error, closed=driver.closed) from error


def _as_sqlalchemy(statement: str, parameters: Mapping[str, Any], error: psycopg.Error, *, closed: bool) -> Exception:
    wrapped = DBAPIError.instance(
        statement, dict(parameters), error, psycopg.Error, connection_invalidated=closed, hide_parameters=True
    )
    assert isinstance(wrapped, Exception)
    return wrapped
