"""Migrations: from nothing to the schema of the code, back, and again; by several at once."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

import dispatch.store.migrations
from dispatch import embedded
from dispatch.errors import UnavailableError
from dispatch.store import make_engine, require_current, upgrade
from dispatch.store.migrate import newest_revision
from dispatch.store.schema import METADATA
from dispatch.store.vectors import VECTOR_TABLE

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]


@pytest.fixture
def empty(servers: embedded.Servers, maintenance: Engine) -> Iterator[Engine]:
    """Given a database with nothing in it."""
    name = f"empty_{uuid.uuid4().hex}"
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = make_engine(servers.database_url.replace("/dispatch?", f"/{name}?"))
    yield engine
    engine.dispose()
    with maintenance.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version", VECTOR_TABLE}


def _downgrade(engine: Engine) -> None:
    config = Config()
    assert dispatch.store.migrations.__file__ is not None
    config.set_main_option("script_location", str(Path(dispatch.store.migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")


def test_an_empty_database_gets_every_table_once(empty: Engine) -> None:
    assert upgrade(empty) is True
    assert _tables(empty) == set(METADATA.tables)
    assert upgrade(empty) is False
    require_current(empty)


def test_the_migrated_schema_is_the_one_the_code_speaks_of(empty: Engine) -> None:
    upgrade(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "target_metadata": METADATA,
                "include_name": lambda name, kind, _parents: kind != "table" or name != VECTOR_TABLE,
            },
        )
        assert compare_metadata(context, METADATA) == []


def test_defaults_and_generated_columns_are_those_the_code_speaks_of(empty: Engine) -> None:
    upgrade(empty)
    with empty.connect() as connection:
        METADATA.create_all(connection.execution_options(schema_translate_map={None: "pg_temp"}), checkfirst=False)
        meant, migrated = (
            {
                (row.table, row.column): row.expression
                for row in connection.execute(
                    text(
                        "SELECT c.relname AS table, a.attname AS column, pg_get_expr(d.adbin, d.adrelid) AS expression"
                        " FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum"
                        " JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
                        " WHERE n.nspname = ANY (current_schemas(true)) AND (n.nspname ~ '^pg_temp') = :temporary"
                    ),
                    {"temporary": temporary},
                )
            }
            for temporary in (True, False)
        )
    assert ("beads", "ready_from") in meant
    assert {place: text for place, text in migrated.items() if place[0] in METADATA.tables} == meant


def test_a_downgrade_leaves_nothing_and_can_be_undone(empty: Engine) -> None:
    upgrade(empty)
    _downgrade(empty)
    assert _tables(empty) == set()
    assert upgrade(empty) is True
    assert _tables(empty) == set(METADATA.tables)


def test_of_several_upgrades_at_once_one_does_the_work_and_none_fails(empty: Engine, at_once: AtOnce) -> None:
    assert sorted(at_once([lambda: upgrade(empty)] * 4)) == [False, False, False, True]


def test_a_database_without_the_schema_is_refused_with_the_cure(empty: Engine) -> None:
    wrong = f"its schema is at nothing, this version needs {newest_revision()}"
    with pytest.raises(UnavailableError, match=wrong) as refused:
        require_current(empty)
    assert "dispatch db upgrade" in str(refused.value)
    assert refused.value.exit_code == 5


def test_the_password_is_not_in_the_refusal(empty: Engine) -> None:
    assert empty.url.password, "the embedded server asks for one"
    with pytest.raises(UnavailableError) as refused:
        require_current(empty)
    assert empty.url.password not in str(refused.value)
