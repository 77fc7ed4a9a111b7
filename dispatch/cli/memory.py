"""`memory`: the facts about a project that every run is told."""

import json
import sys
from typing import Annotated

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import JsonOption, ProjectOption, chosen_project
from dispatch.context import one_line, readable, value_in_words
from dispatch.models.identity import ProjectId
from dispatch.models.memory import Memory

_STANDARD_INPUT = "-"
_LISTED = 200
_SHOWN = 4_000
"""Characters of a value in a list, and in an answer; `--json` has all of it."""
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The name of the fact.", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Facts about a project that every run is told.")
    group.command("list", epilog="Example: `dispatch memory list --project shop`")(list_memories)
    group.command("remember", epilog="Example: `dispatch memory remember money 'Amounts are in cents.'`")(remember)
    group.command("recall", epilog="Example: `dispatch memory recall money rounding`")(recall)
    group.command("forget", epilog="Example: `dispatch memory forget money`")(forget)
    app.add_typer(group, name="memory")


def list_memories(context: typer.Context, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """List what is remembered about a project, the newest first."""
    with CommandContext.of(context).store() as store:
        chosen = chosen_project(store, project)
        memories = store.memory.recall(chosen.id)
    empty = f"Nothing is remembered about {chosen.id}; `dispatch memory remember KEY VALUE` does."
    _show(chosen.id, memories, as_json, empty, _LISTED)


def recall(
    context: typer.Context,
    query: Annotated[list[str], typer.Argument(metavar="WORD...", help="Words of it.", show_default=False)],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is remembered that has one of the words in its key or value, the best first."""
    with CommandContext.of(context).store() as store:
        chosen = chosen_project(store, project)
        memories = store.memory.recall(chosen.id, " ".join(query))
    _show(chosen.id, memories, as_json, "Nothing of that is remembered; `dispatch memory list` shows all.", _SHOWN)


def remember(
    context: typer.Context,
    key: KeyArgument,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="What to remember; `-` reads standard input.", show_default=False)
    ],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remember a fact, in place of the one that has the same key."""
    text = sys.stdin.read().rstrip("\n") if value == _STANDARD_INPUT else value
    with CommandContext.of(context).store() as store:
        chosen = chosen_project(store, project)
        memory = store.memory.remember(chosen.id, key, text)
    if as_json:
        output.write_json(_view(chosen.id, memory))
        return
    output.write(f"{chosen.id} remembers {key}.")


def forget(
    context: typer.Context, key: KeyArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Forget a fact. Importing the file that it came from does not bring it back, unless that says something new."""
    with CommandContext.of(context).store() as store:
        chosen = chosen_project(store, project)
        store.memory.forget(chosen.id, key)
    if as_json:
        output.write_json({"project": chosen.id, "key": key, "forgotten": True})
        return
    output.write(f"{chosen.id} forgot {key}.")


def _show(project_id: ProjectId, memories: list[Memory], as_json: bool, empty: str, room: int) -> None:
    if as_json:
        output.write_json([_view(project_id, memory) for memory in memories])
        return
    rows = [(memory.key, one_line(value_in_words(memory.value), room), memory.changed_at) for memory in memories]
    output.write_table(("key", "value", "since"), rows, empty=empty)


def _view(project_id: ProjectId, memory: Memory) -> dict[str, object]:
    value = json.loads(readable(json.dumps(memory.value, ensure_ascii=False)))
    return {"project": project_id, "key": memory.key, "value": value, "changed_at": memory.changed_at}
