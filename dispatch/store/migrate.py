"""Migrations: bring a database to this version's schema, and check that it is there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from dispatch.errors import UnavailableError
from dispatch.store.vectors import make_vectors

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 0x6469737002


def upgrade(engine: Engine) -> bool:
    """Apply what is missing, vectors included where they can be had; True when something was.

    Several processes may call it at once.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        if MigrationContext.configure(connection).get_current_revision() == newest_revision():
            return make_vectors(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        make_vectors(connection)
    return True


def newest_revision() -> str | None:
    """Return the revision that this version of the code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def require_current(engine: Engine) -> None:
    """Raise `UnavailableError` with the cure when the schema is not the one this code was written for."""
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != newest_revision():
        raise UnavailableError(
            server="The database",
            place=engine.url.render_as_string(hide_password=True),
            cause=f"its schema is at {current or 'nothing'}, this version needs {newest_revision()}",
            cure="Run `dispatch db upgrade`.",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
