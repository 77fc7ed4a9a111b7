"""The table of vectors, which is there only where PostgreSQL has the extension pgvector.

It is no part of the migrations: a server without the extension is as good for everything else, and gets the table with
the first `dispatch db upgrade` after the extension came.
"""

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

VECTOR_TABLE = "lesson_vectors"
_HAS_TABLE = text("SELECT to_regclass(:name) IS NOT NULL")
_CAN_BE_HAD = text("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')")
_EXTENSION = text("CREATE EXTENSION IF NOT EXISTS vector")
_TABLE = text(
    f"""
CREATE TABLE {VECTOR_TABLE} (
    lesson_id bigint PRIMARY KEY REFERENCES lessons (id) ON DELETE CASCADE,
    embedder text NOT NULL,
    dimensions integer NOT NULL,
    vector vector NOT NULL
)
"""
)

log = structlog.get_logger(__name__)


def has_vectors(connection: Connection) -> bool:
    """Tell whether there is a table for vectors."""
    return bool(connection.execute(_HAS_TABLE, {"name": VECTOR_TABLE}).scalar())


def make_vectors(connection: Connection) -> bool:
    """Make the table for vectors if it is missing and the extension can be had; True when it was made now."""
    if has_vectors(connection) or not connection.execute(_CAN_BE_HAD).scalar():
        return False
    try:
        with connection.begin_nested():
            connection.execute(_EXTENSION)
            connection.execute(_TABLE)
    except DBAPIError as error:
        log.warning("lessons are found without vectors: pgvector cannot be set up", cause=str(error.orig).strip())
        return False
    return True
