"""Changing beads by hand: `add`, `close`, `adopt`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from dispatch import exchange
from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import BeadArgument, JsonOption, ProjectOption, calling_user, chosen_project
from dispatch.cli.views import bead_view
from dispatch.errors import RefusedError
from dispatch.exchange import NewBead
from dispatch.models.bead import DEFAULT_PRIORITY
from dispatch.models.identity import BeadKey
from dispatch.store import Store


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch add 'Mend the login' --project shop --role backend-engineer`")(add)
    app.command(epilog="Example: `dispatch close shop-k3x9 --reason 'no longer needed'`")(close)
    app.command(epilog="Example: `dispatch adopt --project shop`")(adopt)


def add(
    context: typer.Context,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="1 to 500 characters.", show_default=False)],
    project: ProjectOption = None,
    description: Annotated[str, typer.Option("--description", "-d", help="What is to be done.")] = "",
    priority: Annotated[
        int, typer.Option("--priority", "-p", min=0, max=4, help="0 is the highest.", show_default=True)
    ] = DEFAULT_PRIORITY,
    issue_type: Annotated[
        str, typer.Option("--type", "-t", help="bug, feature, task, chore, ...", show_default=True)
    ] = "task",
    labels: Annotated[list[str] | None, typer.Option("--label", "-l", help="May be repeated.")] = None,
    depends_on: Annotated[
        list[str] | None,
        typer.Option("--depends-on", metavar="BEAD", help="A bead that it waits for; may be repeated."),
    ] = None,
    blocks: Annotated[
        list[str] | None, typer.Option("--blocks", metavar="BEAD", help="A bead that waits for it; may be repeated.")
    ] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", metavar="BEAD", help="The bead that it is a part of.")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="The role that is to do it.")] = "",
    bead_id: Annotated[str | None, typer.Option("--id", help="Its id; else one is made.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a bead to a project. Its id is written to standard output."""
    new = NewBead(
        title=title,
        description=description,
        priority=priority,
        issue_type=issue_type,
        labels=labels or (),
        depends_on=depends_on or (),
        blocks=blocks or (),
        parent=parent,
        role=role,
        id=bead_id,
    )
    command = CommandContext.of(context)
    with command.store() as store:
        chosen = chosen_project(store, project)
        bead = exchange.add_bead(
            store, chosen, new, created_by=calling_user(), now=datetime.now(UTC), settings=command.settings
        )
        command.nudge(store)
    if as_json:
        output.write_json(bead_view(bead))
    else:
        output.write(bead.id)
        if bead.role_problem:
            output.say(f"warning: {bead.role_problem}")


def close(
    context: typer.Context,
    bead: BeadArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the answer, when it is a decision.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Close a bead. A running agent is told to stop; what waited for the bead can go.

    Closing a decision lets its bead go on, with the reason as advice for its next run; `dispatch decide` can do more.
    """
    command = CommandContext.of(context)
    with command.store() as store:
        key = store.reading.resolve(bead)
        released = store.edits.close(key, reason, by=calling_user())
        command.nudge(store)
    if as_json:
        output.write_json({"id": key.bead_id, "project": key.project_id, "released": released})
        return
    output.write(f"Closed {key}.")
    if released:
        output.write(f"No longer blocked: {', '.join(sorted(released))}.")


def adopt(
    context: typer.Context,
    beads: Annotated[
        list[str] | None,
        typer.Argument(metavar="BEAD", help="Which; else all of the project.", show_default=False),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open beads that the tracker has in progress though no run here holds them, so that they can be dispatched."""
    command = CommandContext.of(context)
    with command.store() as store:
        wanted = _orphans(store, beads, project)
        adopted = [key for key in wanted if store.edits.adopt(key)]
        _refuse_others(beads, wanted, adopted)
        if adopted:
            command.nudge(store)
    if as_json:
        output.write_json({"adopted": [str(key) for key in adopted]})
        return
    for key in adopted:
        output.write(f"Adopted {key}.")
    if not adopted:
        output.say("There is nothing to adopt.")


def _orphans(store: Store, beads: list[str] | None, project: str | None) -> list[BeadKey]:
    if not beads:
        return [bead.key for bead in store.edits.orphans(chosen_project(store, project).id)]
    if project is None:
        return [store.reading.resolve(name) for name in beads]
    project_id = store.projects.get(chosen_project(store, project).id).id
    return [store.reading.bead(BeadKey.of(project_id, name.removeprefix(f"{project_id}/"))).key for name in beads]


def _refuse_others(beads: list[str] | None, wanted: list[BeadKey], adopted: list[BeadKey]) -> None:
    """Complain about beads that were named and are no orphans."""
    left = [str(key) for key in wanted if key not in adopted]
    if beads and left:
        raise RefusedError(
            problem=f"Not in progress, or held by a run of ours: {', '.join(left)}",
            cure="The others were adopted." if adopted else "See `dispatch why BEAD`.",
        )
