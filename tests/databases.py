"""Fresh databases by the thousand: one that a test has used is emptied and given out again.

To copy the template takes a fifth of a second, and to empty a copy a few thousandths. A copy whose schema a test has
changed, or that it has filled, is dropped.
"""

from collections.abc import Callable
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from dispatch.store import make_engine, upgrade

TEMPLATE: Final = "dispatch_template"
_USES: Final = 30
"""Tests that one copy serves: what was deleted leaves its traces in files and statistics."""
_GROWTH: Final = 2 << 20
"""Bytes that a copy may have grown by."""
_KEEP = """
DO $$ DECLARE name name; filled bool; BEGIN
    CREATE SCHEMA kept;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
        IF filled THEN EXECUTE format('CREATE TABLE kept.%I AS TABLE public.%I', name, name); END IF;
    END LOOP;
END $$
"""
_EMPTY = """
DO $$ DECLARE name name; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('DELETE FROM public.%I', name);
    END LOOP;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'kept' LOOP
        EXECUTE format('INSERT INTO public.%I SELECT * FROM kept.%I', name, name);
    END LOOP;
END $$
"""
_REWIND = "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences"
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SHAPE = """
SELECT (SELECT row(count(*), max(oid), sum(relnatts), sum(relchecks)) FROM pg_class WHERE relpersistence = 'p')::text
    || (SELECT row(count(*), max(oid)) FROM pg_constraint)::text
    || (SELECT row(count(*), max(oid)) FROM pg_trigger)::text
    || (SELECT row(count(*), max(oid)) FROM pg_proc)::text || (SELECT row(count(*), max(oid)) FROM pg_extension)::text
    || (SELECT count(*) FROM pg_db_role_setting)
"""


class Databases:
    """The databases of one test process. `address` returns that of a database by its name."""

    def __init__(self, maintenance: Engine, address: Callable[[str], str]) -> None:
        self._maintenance = maintenance
        self._address = address
        self._idle: list[tuple[str, int]] = []
        engine = create_engine(address(TEMPLATE), poolclass=NullPool)
        with engine.connect() as connection:
            self._shape, self._size = _shape(connection), _size(connection)

    def take(self) -> tuple[str, int]:
        """Return the name of a fresh, migrated database, and how often it was used."""
        if self._idle:
            return self._idle.pop()
        name = f"test_{uuid4().hex}"
        self._order(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name, 0

    def give_back(self, name: str, uses: int) -> None:
        """End every session of a database, and make it fresh again or drop it."""
        if uses + 1 < _USES and self._is_emptied(name):
            self._idle.append((name, uses + 1))
        else:
            self._order(f"DROP DATABASE {name} WITH (FORCE)")

    def _is_emptied(self, name: str) -> bool:
        engine = create_engine(self._address(name), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(_END_OTHERS))
            if _shape(connection) != self._shape or _size(connection) > self._size + _GROWTH:
                return False
            connection.execute(text(_EMPTY))
            connection.execute(text(_REWIND))
        return True

    def _order(self, statement: str) -> None:
        with self._maintenance.connect() as connection:
            connection.execute(text(statement))


def make_template(maintenance: Engine, address: Callable[[str], str]) -> None:
    """Make the database that the others are copies of, with a copy of what is in it from the beginning."""
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {TEMPLATE}"))
    engine = make_engine(address(TEMPLATE))
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(_KEEP))
    engine.dispose()


def _shape(connection: Connection) -> str:
    return str(connection.execute(text(_SHAPE)).scalar_one())


def _size(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
