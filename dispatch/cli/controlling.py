"""Taking hold of work under way: `cancel`, `retry`, `reassign`."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from dispatch import controlling
from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.explaining import Explainer
from dispatch.cli.options import BeadArgument, JsonOption, calling_user
from dispatch.controlling import WentOn
from dispatch.models.run import StoppedRuns
from dispatch.readiness.reasons import READY
from dispatch.settings import Settings, format_duration
from dispatch.store import Store


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch cancel shop-k3x9 --reason 'The wrong approach'`")(cancel)
    app.command(epilog="Example: `dispatch retry shop-k3x9`")(retry)
    app.command(epilog="Example: `dispatch reassign shop-k3x9 qa-engineer`")(reassign)


def cancel(
    context: typer.Context,
    bead: BeadArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, for `dispatch why`.")] = "",
    as_json: JsonOption = False,
) -> None:
    """End the run of a bead: its agent is told to stop at once, and its work so far is kept.

    The bead is open again, and on hold: no agent is given it until `dispatch retry` or `dispatch reassign`.
    """
    command = CommandContext.of(context)
    with command.store() as store:
        key, stopped = controlling.cancel(store, bead, by=calling_user(), reason=reason)
        command.nudge(store)
    if as_json:
        output.write_json({"id": key.bead_id, "project": key.project_id, **stopped_view(stopped)})
        return
    grace = format_duration(command.settings.dispatch.grace)
    how = f"its agent has {grace} to end" if stopped.running else "no agent had begun it"
    output.write(f"Cancelled {key}: {how}. It is on hold until `dispatch retry {key}`.")


def retry(context: typer.Context, bead: BeadArgument, as_json: JsonOption = False) -> None:
    """Let a bead go again at once: its hold, cooldown and failures are forgotten, and its runs so far do not count.

    Where a human is asked about it, this decides `retry`. It goes on from the work that it has.
    """
    command = CommandContext.of(context)
    with command.store() as store:
        went_on = controlling.retry(store, command.settings, bead, by=calling_user(), now=datetime.now(UTC))
        _tell(command, store, went_on, as_json)


def reassign(
    context: typer.Context,
    bead: BeadArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="A role, alias or persona.", show_default=False)],
    cancel: Annotated[bool, typer.Option("--cancel", help="End its run first, if it has one.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Give a bead to another role, until its tracker asks for another one, and let it go on.

    Where a human is asked about it, this decides `reassign`.
    """
    command = CommandContext.of(context)
    with command.store() as store:
        given = controlling.reassign(
            store, command.settings, bead, role, by=calling_user(), now=datetime.now(UTC), cancel=cancel
        )
        _tell(command, store, given, as_json)


def _tell(command: CommandContext, store: Store, went_on: WentOn, as_json: bool) -> None:
    why = _why(store, command.settings, went_on)
    command.nudge(store)
    if went_on.note:
        output.say(f"warning: {went_on.note}")
    if as_json:
        output.write_json({**_view(went_on), "why": why})
        return
    goes_to = f" goes to {went_on.role}" if went_on.role else " goes on"
    decided = f" Decided {went_on.decision.key}." if went_on.decision is not None else ""
    output.write(f"{went_on.bead}{goes_to}.{decided}")
    if why != READY:
        output.write(why)


def _why(store: Store, settings: Settings, went_on: WentOn) -> str:
    return Explainer(store, settings).why(store.reading.bead(went_on.bead))


def _view(went_on: WentOn) -> dict[str, Any]:
    return {
        "id": went_on.bead.bead_id,
        "project": went_on.bead.project_id,
        "role": went_on.role or None,
        "decision": went_on.decision.decision_id if went_on.decision is not None else None,
        **stopped_view(went_on.stopped),
        "note": went_on.note,
    }


def stopped_view(stopped: StoppedRuns) -> dict[str, int]:
    return {"withdrawn": stopped.withdrawn, "running": stopped.running}
