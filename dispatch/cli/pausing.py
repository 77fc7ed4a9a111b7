"""`pause` and `resume`: hold back the system or a project, and let it go on."""

from typing import Annotated

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.models.guarding import FailureRow
from dispatch.models.identity import ProjectId
from dispatch.store import Store

ProjectArgument = Annotated[
    str | None, typer.Argument(metavar="PROJECT", help="The project; else the whole system.", show_default=False)
]


def register(app: typer.Typer) -> None:
    app.command(epilog='Example: `dispatch pause shop --reason "The shop moves."`')(pause)
    app.command(epilog="Example: `dispatch resume shop`")(resume)


def pause(
    context: typer.Context,
    project: ProjectArgument = None,
    reason: Annotated[str, typer.Option(help="Why, for `dispatch status` and `dispatch why`.")] = "",
) -> None:
    """Dispatch nothing of a project, or nothing at all. What runs goes on to its end."""
    with CommandContext.of(context).store() as store:
        _set_paused(store, project, True, reason)
    output.write(f"{project or 'The system'} is paused; `dispatch resume{f' {project}' if project else ''}` ends that.")


def resume(context: typer.Context, project: ProjectArgument = None) -> None:
    """Let a project, or the system, go on: after a pause, and a project also after failures that parked it."""
    command = CommandContext.of(context)
    with command.store() as store:
        _set_paused(store, project, False, "")
        ended = store.guarding.close_breaker(ProjectId(project)) if project is not None else None
        command.nudge(store)
    output.write(f"{project or 'The system'} goes on.{_failures(ended)}")


def _failures(row: FailureRow | None) -> str:
    return f" Its row of {row.failures} failed run(s) ({row.cause}) is forgotten." if row is not None else ""


def _set_paused(store: Store, project: str | None, paused: bool, reason: str) -> None:
    if project is None:
        store.guarding.set_paused(paused, reason)
    else:
        store.projects.set_paused(ProjectId(project), paused, reason)
