"""`dispatch run BEAD`: one bead in the foreground."""

import importlib
from typing import Annotated, Protocol, cast

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import BeadArgument
from dispatch.cli.wishes import interrupting
from dispatch.context import one_line
from dispatch.errors import RefusedError
from dispatch.models.identity import BeadKey, RunId
from dispatch.models.messages import (
    ActionEvent,
    AgentEvent,
    BeadEvent,
    LessonEvent,
    MessageEvent,
    ProgressEvent,
    ResultEvent,
    SessionEvent,
    UsageEvent,
)
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, NeedsInput, Outcome, TimedOut
from dispatch.models.states import BeadStatus, StopReason
from dispatch.wiring import System
from dispatch.workspaces import branch_name

_EXECUTOR = "workers.foreground"
"""Found by name: the workers' room lies above this one and may not be imported."""
_DONE = frozenset({BeadStatus.CLOSED, BeadStatus.LANDING})
_MAX_OUTPUT_LINES = 20
_MESSAGE_ROOM = 500
"""Characters of what an agent says in its conversation."""
_INTERRUPTED = 130


class ForegroundReport(Protocol):
    """What the executor says of a run in this process."""

    @property
    def dispatched(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def run_id(self) -> RunId | None: ...
    @property
    def outcome(self) -> Outcome | None: ...
    @property
    def status(self) -> str: ...
    @property
    def landed(self) -> bool: ...


class Executor(Protocol):
    """The executor's module."""

    def run_bead(
        self, system: System, key: BeadKey, *, runner: str | None, on_event: "Listener"
    ) -> ForegroundReport: ...


class Listener(Protocol):
    """Hears what an agent says."""

    def __call__(self, event: AgentEvent, /) -> None: ...


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog="Example: `dispatch run shop-1 --runner mine`")(run)


def run(
    context: typer.Context,
    bead: BeadArgument,
    runner: Annotated[str | None, typer.Option(help="The runner to use, whatever the bead's role names.")] = None,
) -> None:
    """Run one bead here and now, and show what its agent does. Needs no worker; the exit code is 0 when it is done."""
    with CommandContext.of(context).system() as system:
        key = system.store.reading.resolve(bead)
        executor = cast(Executor, importlib.import_module(_EXECUTOR))
        with interrupting():
            report = executor.run_bead(system, key, runner=runner, on_event=show_event)
        if not report.dispatched:
            raise RefusedError(
                problem=f"{key} was not run: {report.reason.rstrip('.')}", cure=f"`dispatch why {key}` says more."
            )
        _tell(system, key, report)
    raise typer.Exit(_exit_code(report))


def _exit_code(report: ForegroundReport) -> int:
    if report.status in _DONE:
        return 0
    match report.outcome:
        case Cancelled(cause=StopReason.HANDBACK):
            return _INTERRUPTED
        case _:
            return 1


def show_event(event: AgentEvent) -> None:
    """Write what an agent says as a line."""
    line = event_in_words(event)
    if line:
        output.write(line)


def event_in_words(event: AgentEvent) -> str:
    """Return what an agent says as a line; empty for what only counts."""
    match event:
        case ActionEvent(action_type=kind, action_data=data):
            return f"{kind:8} {_object(data)}".rstrip()
        case ProgressEvent(message=message):
            return message.rstrip()
        case ResultEvent(outcome=outcome, summary=summary, question=question):
            return f"the agent says: {outcome}. {question or summary}".rstrip()
        case BeadEvent(title=title):
            return f"bead     {one_line(title, _MESSAGE_ROOM)}".rstrip()
        case LessonEvent(title=title, detail=detail):
            return f"lesson   {one_line(title or detail, _MESSAGE_ROOM)}".rstrip()
        case MessageEvent(role="assistant", text=text):
            return one_line(text, _MESSAGE_ROOM)
        case UsageEvent() | SessionEvent() | MessageEvent():
            return ""


def outcome_in_words(outcome: Outcome) -> str:
    """Return how a run ended, with what a human needs to know."""
    match outcome:
        case Completed(nothing_to_do=True):
            return f"Completed; nothing needed doing. {outcome.summary}".rstrip()
        case Completed():
            return f"Completed. {outcome.summary}".rstrip()
        case Failed(cause=cause, output=printed):
            last = "\n".join(f"  {line}" for line in printed.rstrip().splitlines()[-_MAX_OUTPUT_LINES:])
            return "\n".join(part for part in (f"Failed: {cause}. {outcome.summary}".rstrip(), last) if part)
        case TimedOut(limit_seconds=limit):
            return f"Stopped at its limit of {limit:g} s."
        case Looped(reason=reason):
            return f"Stopped in a loop: {reason}"
        case NeedsInput(question=question):
            return f"The agent asks: {question}"
        case Cancelled(cause=cause):
            return f"Cancelled: {cause}."
        case Lost():
            return "Lost: this process was not heard of for too long."


def _object(data: dict[str, object]) -> str:
    """Return what an action was done to, on one line."""
    named = next((data[name] for name in ("path", "command", "query", "url") if name in data), None)
    return " ".join(str(data if named is None else named).split())


def _tell(system: System, key: BeadKey, report: ForegroundReport) -> None:
    output.write()
    if report.outcome is not None:
        output.write(outcome_in_words(report.outcome))
    bead = system.store.reading.bead(key)
    place = system.repository(key.project_id).path
    pull_request = system.store.pull_requests.find(key)
    branch = system.settings.project(key.project_id).target_branch
    if report.landed:
        output.write(f"{key} is {report.status}; its work is on {branch} of {place}.")
    elif bead.head_sha is not None:
        output.write(f"{key} is {report.status}; its work is on the branch {branch_name(key.bead_id)} of {place}.")
        if pull_request is not None and pull_request.is_open:
            output.write(str(pull_request))
        output.write(f"See it: git -C {place} diff {branch}...{bead.head_sha[:12]}")
    else:
        output.write(f"{key} is {report.status}.")
    if report.run_id is not None:
        log_file = system.runs_directory / str(report.run_id) / "agent.log"
        output.write(f"All that its agent printed: {log_file}" if log_file.exists() else "Its agent printed nothing.")
