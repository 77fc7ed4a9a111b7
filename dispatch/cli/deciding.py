"""What waits for a human, and what he decides: `inbox`, `decide`."""

import shutil
from datetime import UTC, datetime
from typing import Annotated

import typer

from dispatch import deciding
from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.inbox_view import block, entry_view, ruling_view
from dispatch.cli.options import JsonOption, calling_user
from dispatch.deciding import Answer, Decided
from dispatch.escalation import most_urgent_first
from dispatch.models.decision import InboxEntry, Option
from dispatch.models.identity import ProjectId

_WIDTHS = (60, 120)
"""Columns: below the first lines are wrapped to it all the same, over the second they are not used."""


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch inbox`")(inbox)
    app.command(epilog="Example: `dispatch decide shop-k3x9 retry --advice 'The API is at /v2'`")(decide)


def inbox(
    context: typer.Context,
    decision: Annotated[
        str | None,
        typer.Argument(metavar="DECISION", help="Show this one in full: its id, or its bead's.", show_default=False),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only those of one project.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the decisions that wait for a human, the most urgent first, with what to type for each option.

    After them come the pull requests that wait to be opened or merged (`dispatch show BEAD --json` has each).
    """
    with CommandContext.of(context).store() as store:
        if decision is not None:
            one = store.decisions.entry(store.decisions.find(decision).key)
            _show_one(one, as_json)
            return
        project_id = store.projects.get(ProjectId(project)).id if project is not None else None
        entries = most_urgent_first(store.decisions.inbox(project_id))
        proposed = store.pull_requests.waiting(project_id)
    if as_json:
        output.write_json([entry_view(entry) for entry in entries])
        return
    _list(entries)
    for bead, pull_request in proposed:
        output.write(f"\n{bead}  {pull_request}")


def _show_one(entry: InboxEntry, as_json: bool) -> None:
    if as_json:
        output.write_json(entry_view(entry))
        return
    output.write(f"Decision {entry.decision.key}")
    for line in block(entry, _width(), full=True):
        output.write(line)


def _list(entries: list[InboxEntry]) -> None:
    if not entries:
        output.say("Nothing waits for a human.")
        return
    late = sum(entry.is_overdue for entry in entries)
    wait = "1 decision waits" if len(entries) == 1 else f"{len(entries)} decisions wait"
    overdue = f", {late} overdue" if late else ""
    output.write(f"{wait} for a human{overdue}. `dispatch inbox BEAD` shows one in full.")
    for entry in entries:
        output.write()
        for line in block(entry, _width()):
            output.write(line)


def _width() -> int:
    least, most = _WIDTHS
    return max(least, min(most, shutil.get_terminal_size((100, 24)).columns))


def decide(
    context: typer.Context,
    decision: Annotated[
        str, typer.Argument(metavar="DECISION", help="Its id, or that of the bead it is about.", show_default=False)
    ],
    option: Annotated[
        str,
        typer.Argument(
            metavar="OPTION", help="answer, retry, raise-limit, reassign, split or close.", show_default=False
        ),
    ],
    advice: Annotated[
        str, typer.Option("--advice", "--answer", "-a", help="What the next run is told; the answer to a question.")
    ] = "",
    role: Annotated[str, typer.Option("--role", help="To whom it is reassigned.")] = "",
    into: Annotated[
        list[str] | None, typer.Option("--into", metavar="TITLE", help="A part it is split into; may be repeated.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why it is closed.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a decision: its bead goes on, or is closed. `dispatch inbox` lists the options of each."""
    command = CommandContext.of(context)
    answer = Answer(option=option, by=calling_user(), advice=advice, role=role, into=tuple(into or ()), reason=reason)
    with command.store() as store:
        made = deciding.decide(store, command.settings, decision, answer, now=datetime.now(UTC))
        command.nudge(store)
    if made.note:
        output.say(f"warning: {made.note}")
    if as_json:
        known = made.decision
        names = {"decision": known.decision_id, "project": known.project_id, "bead": known.bead_id}
        output.write_json({**names, **ruling_view(known), "released": made.released, "note": made.note})
        return
    for line in _in_words(made):
        output.write(line)


def _in_words(made: Decided) -> list[str]:
    decision, ruling = made.decision, made.decision.ruling
    assert ruling is not None, "it was made now"
    lines = [f"Decided {decision.key}: {ruling.option}. {_what_follows(made, ruling.option)}"]
    others = sorted(bead_id for bead_id in made.released if bead_id != decision.bead_id)
    return [*lines, *([f"No longer blocked: {', '.join(others)}."] if others else [])]


def _what_follows(made: Decided, option: Option) -> str:
    decision, ruling = made.decision, made.decision.ruling
    bead = decision.bead_key
    if option is Option.CLOSE:
        return f"{bead} is closed."
    if option is Option.SPLIT and ruling is not None:
        return f"{bead} waits for {', '.join(ruling.into)}."
    if decision.bead_id in made.released:
        return f"{bead} goes on."
    return f"{bead} does not go yet: `dispatch why {bead}`."
