"""`project add` and `project list`."""

from pathlib import Path
from typing import Annotated

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.exchanging import BEADS_FILES
from dispatch.cli.options import PROJECT_ID, JsonOption, project_name
from dispatch.cli.views import project_view
from dispatch.errors import UsageError
from dispatch.models.identity import ProjectId
from dispatch.workspaces import ignore_home


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The git repositories whose beads are worked on.")
    group.command("add", epilog="Example: `dispatch project add /src/shop --id shop`")(add)
    group.command("list", epilog="Example: `dispatch project list --json`")(list_projects)
    app.add_typer(group, name="project")


def add(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The top of a git repository.", show_default=False)],
    project_id: Annotated[str | None, typer.Option("--id", help="Its id; else the directory's name.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a project. Doing it again changes nothing."""
    command = CommandContext.of(context)
    path = path.expanduser().resolve()
    wanted = project_id if project_id is not None else project_name(path)
    if not PROJECT_ID.fullmatch(wanted):
        raise UsageError(
            problem=f"{wanted!r} cannot be the id of a project",
            cure="Give one with --id: letters, digits, points, hyphens and underscores.",
        )
    ignore_home(path, command.settings.home)
    with command.store() as store:
        project = store.projects.add(ProjectId(wanted), path)
    if as_json:
        output.write_json(project_view(project, command.settings))
        return
    output.write(f"{project.id}  {project.path}")
    beads = next((path / ".beads" / name for name in BEADS_FILES if (path / ".beads" / name).is_file()), None)
    if beads is not None:
        output.say(f"It has beads: `dispatch import {beads} --project {project.id}` takes them up.")


def list_projects(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the projects in the order they were added."""
    command = CommandContext.of(context)
    with command.store() as store:
        views = [project_view(project, command.settings) for project in store.projects.all()]
    if as_json:
        output.write_json(views)
        return
    rows = [(view["id"], view["path"], view["landing"], "paused" if view["paused"] else "") for view in views]
    output.write_table(
        ("project", "path", "landing", "state"),
        rows,
        empty="There is no project yet; `dispatch project add PATH` adds one.",
    )
