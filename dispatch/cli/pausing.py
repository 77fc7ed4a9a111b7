"""`pause` and `resume`: hold back the system, a project or a role, and let it go on."""

from typing import Annotated

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.deciding import named_role
from dispatch.errors import UsageError
from dispatch.models.guarding import FailureRow
from dispatch.models.identity import ProjectId
from dispatch.settings import Settings
from dispatch.store import Store

ProjectArgument = Annotated[
    str | None, typer.Argument(metavar="PROJECT", help="The project; else the whole system.", show_default=False)
]
RoleOption = Annotated[str | None, typer.Option("--role", help="A role instead, in all projects.", show_default=False)]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch pause shop --reason 'It moves.'`, or `dispatch pause --role qa-engineer`")(
        pause
    )
    app.command(epilog="Example: `dispatch resume shop`, or `dispatch resume --role qa-engineer`")(resume)


def pause(
    context: typer.Context,
    project: ProjectArgument = None,
    role: RoleOption = None,
    reason: Annotated[str, typer.Option(help="Why, for `dispatch status` and `dispatch why`.")] = "",
) -> None:
    """Dispatch nothing of a project or a role, or nothing at all. What runs goes on to its end."""
    command = CommandContext.of(context)
    with command.store() as store:
        scope = _set_paused(store, command.settings, project, role, True, reason)
    output.write(f"{_told(*scope)} is paused; `dispatch resume{_typed(*scope)}` ends that.")


def resume(context: typer.Context, project: ProjectArgument = None, role: RoleOption = None) -> None:
    """Let a project, a role or the system go on: after a pause, and a project also after failures that parked it."""
    command = CommandContext.of(context)
    with command.store() as store:
        scope = _set_paused(store, command.settings, project, role, False, "")
        ended = store.guarding.close_breaker(ProjectId(project)) if project is not None else None
        still = _still_paused(store) if project is None and role is None else ""
        command.nudge(store)
    output.write(f"{_told(*scope)} goes on.{_failures(ended)}{still}")


def _told(project: str | None, role: str | None) -> str:
    return f"The role {role}" if role is not None else project or "The system"


def _typed(project: str | None, role: str | None) -> str:
    return f" --role {role}" if role is not None else f" {project}" if project is not None else ""


def _failures(row: FailureRow | None) -> str:
    return f" Its row of {row.failures} failed run(s) ({row.cause}) is forgotten." if row is not None else ""


def _still_paused(store: Store) -> str:
    """Say what a pause of its own holds back when the system goes on."""
    with store.dispatching.look() as round_:
        supply = round_.supply(lock=False)
    paused = [str(project.id) for project in supply.projects if project.paused]
    paused += [f"the role {role}" for role in sorted(supply.paused_roles)]
    return f" Still paused: {', '.join(paused)}." if paused else ""


def _set_paused(
    store: Store, settings: Settings, project: str | None, role: str | None, paused: bool, reason: str
) -> tuple[str | None, str | None]:
    """Pause or let go on what is meant; return the project or the role, neither for the whole system."""
    if project is not None and role is not None:
        raise UsageError(problem="A role is paused in all projects", cure="Leave out the project, or --role.")
    if role is not None:
        named, _ = named_role(store, settings, role)
        store.guarding.set_role_paused(named, paused, reason)
        return None, named
    if project is None:
        store.guarding.set_paused(paused, reason)
    else:
        store.projects.set_paused(ProjectId(project), paused, reason)
    return project, None
