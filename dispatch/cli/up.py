"""`dispatch up`: the whole deployment on this host, in the foreground."""

from typing import Annotated

import typer

from dispatch.cli.context import CommandContext
from dispatch.cli.live_view import LiveView
from dispatch.cli.selection import Selection
from dispatch.cli.upkeep import End, keep_up

_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up", epilog="Example: `dispatch up --until-idle`")(up)


def up(
    context: typer.Context,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when no agent is at work and no bead can go any more.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Work on at most so many beads.")] = None,
    label: Annotated[str | None, typer.Option(help="Work only on beads with this label.")] = None,
) -> None:
    """Start workers, beat and Flower, watch them, and show what goes on. Ctrl-C ends everything in good order.

    With --limit or --label the beads are chosen in this process: run no other ticker on the same deployment then.
    """
    command = CommandContext.of(context)
    selection = Selection(label=label, limit=limit) if label is not None or limit is not None else None
    with LiveView() as view:
        end = keep_up(command.settings, view, until_idle=until_idle, selection=selection)
    raise typer.Exit(exit_code(end, until_idle))


def exit_code(end: End, until_idle: bool) -> int:
    """Return how the command ends: a Ctrl-C is the usual end of `up`, but an interruption of `up --until-idle`."""
    match end:
        case End.BROKEN:
            return 1
        case End.ASKED:
            return _INTERRUPTED if until_idle else 0
        case End.IDLE:
            return 0
