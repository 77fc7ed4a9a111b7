"""`stop`: begin nothing any more, and wait until nothing runs."""

import time
from datetime import timedelta
from typing import Annotated

import typer

from dispatch import controlling
from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import JsonOption, calling_user
from dispatch.errors import RefusedError, UsageError
from dispatch.models.identity import ProjectId
from dispatch.settings import Settings, format_duration, parse_duration
from dispatch.store import Store

_LOOK_SECONDS = 0.2
_BEYOND = timedelta(minutes=1)
"""What is waited for beyond limit, grace and lease: for the commit, and the tick that sees that a lease ended."""


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch stop --now`")(stop)


def stop(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only what runs of one project.", show_default="all")] = None,
    now: Annotated[bool, typer.Option("--now", help="Tell running agents to stop; their work so far is kept.")] = False,
    wait: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Wait at most so long, as 90s or 5m.", show_default="until they must end"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Pause the system, or a project, and wait until no agent works: to the end of their runs, or with --now at once.

    `dispatch resume` lets it go on; what was stopped then begins again from its work so far.
    """
    command = CommandContext.of(context)
    given = _given(wait)
    project_id = ProjectId(project) if project is not None else None
    resume = f"dispatch resume{f' {project}' if project else ''}"
    with command.store() as store:
        stopped = controlling.stop(store, project_id, by=calling_user(), now=now)
        output.say(f"{project or 'The system'} is paused; `{resume}` ends that.")
        if stopped.withdrawn:
            output.say(f"Taken back before they started: {stopped.withdrawn}.")
        patience = given if given is not None else _longest(store, project_id, command.settings, now)
        left = _await_end(store, project_id, patience)
    if left:
        raise RefusedError(
            problem=f"{left} run(s) have not ended within {format_duration(patience)}",
            cure="`dispatch runs --open` lists them; nothing new begins meanwhile.",
        )
    if as_json:
        output.write_json({"project": project, "withdrawn": stopped.withdrawn, "running": stopped.running})
    else:
        output.write(f"Nothing runs any more. Runs that were waited for: {stopped.running}.")


def _given(written: str | None) -> timedelta | None:
    if written is None:
        return None
    try:
        return parse_duration(written)
    except ValueError as error:
        raise UsageError(problem=f"--wait {written!r} is no duration", cure="Write one such as 90s or 5m.") from error


def _longest(store: Store, project_id: ProjectId | None, settings: Settings, now: bool) -> timedelta:
    """Return how long runs can take to end: told to, an agent's grace; else the longest limit among them."""
    limits = [run.timeout for run in store.reading.runs(project_id=project_id, open_only=True)]
    times = settings.dispatch
    return times.grace + times.lease + _BEYOND + (timedelta() if now else max(limits, default=timedelta()))


def _await_end(store: Store, project_id: ProjectId | None, patience: timedelta) -> int:
    """Wait until no run is under way, telling how many are; return how many still are when the patience is over."""
    deadline = time.monotonic() + patience.total_seconds()
    told = None
    while (left := store.control.under_way(project_id)) and time.monotonic() < deadline:
        if left != told:
            output.say(f"Waiting for {left} run(s) to end.")
            told = left
        time.sleep(_LOOK_SECONDS)
    return left
