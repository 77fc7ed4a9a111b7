"""`db upgrade`: bring the database to this version's schema, and the roles of beads to the configuration's names."""

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.rerouting import follow_configuration
from dispatch.store import make_engine, upgrade


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The database of the deployment.")
    group.command("upgrade", epilog="Example: `dispatch db upgrade`")(upgrade_database)
    # A group of one command would otherwise be that command itself.
    group.callback()(_group)
    app.add_typer(group, name="db")


def _group() -> None:
    """The database of the deployment."""


def upgrade_database(context: typer.Context) -> None:
    """Bring the database to the schema of this version, and beads to the roles that the configuration names now.

    Several may do it at once; doing it again changes nothing.
    """
    command = CommandContext.of(context)
    with command.database_named():
        engine = make_engine(command.addresses.database_url)
        try:
            changed = upgrade(engine)
        finally:
            engine.dispose()
    with command.store() as store:
        moved = follow_configuration(store, command.settings)
    output.write("The database was upgraded." if changed else "The database is up to date.")
    if moved:
        output.write(f"Beads that go to another role now: {moved}.")
