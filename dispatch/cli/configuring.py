"""`config`: each setting, its value, and where it comes from."""

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import JsonOption
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.settings import Landing, explain
from dispatch.workspaces import landing_of


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `DISPATCH_DISPATCH__LEASE=30s dispatch config`")(config)


def config(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show each setting, its value as dispatch.toml would have it, and where it comes from. Passwords are masked."""
    settings = CommandContext.of(context).settings
    rows = explain(settings)
    if as_json:
        output.write_json(rows)
        return
    output.say(f"configuration file: {settings.config_file or 'none; these are the defaults'}")
    output.write_table(
        ("setting", "value", "origin"),
        [(row.key, row.value, row.origin) for row in rows],
        empty="There are no settings.",
    )
    for name, project in settings.projects.items():
        if project.path is not None and project.landing is Landing.AUTO:
            here = landing_of(Project(id=ProjectId(name), path=project.path, prefix=name), settings)
            output.say(f"projects.{name}.landing is {here} here.")
