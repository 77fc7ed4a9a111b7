"""`import` and `export`: beads files in and out."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dispatch import exchange
from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import JsonOption, ProjectOption, chosen_project
from dispatch.errors import NotFoundError, RefusedError, UsageError
from dispatch.interop import Problem
from dispatch.models.project import Project
from dispatch.store import Store

BEADS_FILES = ("issues.jsonl", "beads.jsonl")
"""What the tracker's file is called in a repository's `.beads`: now, and in older ones."""
TOLD_PROBLEMS = 50
_NAMED = 5


def register(app: typer.Typer) -> None:
    app.command("import", epilog="Example: `dispatch import .beads/issues.jsonl --project shop`")(import_beads)
    app.command("export", epilog="Example: `dispatch export --project shop --in-place`")(export_beads)


def import_beads(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A beads file, *.jsonl.", show_default=False)],
    project: ProjectOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing when a line cannot be read.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a project up to date with a beads file. Nothing is deleted; doing it again changes nothing.

    A line that cannot be read is reported with its number and cause, and the rest is imported.
    """
    command = CommandContext.of(context)
    with command.store() as store:
        project_id = chosen_project(store, project).id
        with _progress(file) as progress:
            result = exchange.import_file(
                store, project_id, file, settings=command.settings, strict=strict, progress=progress
            )
        orphans = store.edits.orphans(project_id)
        if result.report.created or result.report.updated:
            command.nudge(store)
    report = result.report
    if as_json:
        output.write_json({"project": project_id, "report": report, "problems": result.problems})
        return
    _tell(result.problems)
    output.write(
        f"{project_id}: {report.created} new, {report.updated} changed, {report.unchanged} unchanged, "
        f"{report.older} older than ours, {report.memories} memories; {result.refused_lines} lines refused"
    )
    if report.kept:
        output.say(f"The status stayed ours on {_named(report.kept)}.")
    if orphans:
        named = _named([bead.id for bead in orphans])
        output.say(f"In progress, but no run here holds them: {named}. `dispatch adopt` opens them.")


def _tell(problems: tuple[Problem, ...]) -> None:
    for problem in problems[:TOLD_PROBLEMS]:
        output.say(f"{'refused' if problem.fatal else 'warning'}: {problem}")
    if len(problems) > TOLD_PROBLEMS:
        output.say(f"... and {len(problems) - TOLD_PROBLEMS} more; --json lists all.")


def _named(ids: list[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None] | None]:
    """Show a bar on a terminal while beads are read, then that they are written."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Importing", total=_count_lines(file))
        yield lambda read: bar.update(task, completed=read)


def _count_lines(file: Path) -> int | None:
    """Return about how many beads a file holds; None when it cannot be read, which the import says better."""
    try:
        with file.open("rb") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return None


def export_beads(
    context: typer.Context,
    project: ProjectOption = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to standard output.")
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Write the tracker's file in the repository.")] = False,
) -> None:
    """Write a project as a beads file: what was imported, with only our changes in it."""
    if file is not None and in_place:
        raise UsageError(problem="--output and --in-place exclude each other", cure="Give one of them.")
    with CommandContext.of(context).store() as store:
        chosen = chosen_project(store, project)
        target = _tracker_file(store, chosen) if in_place else file
        if target is None:
            for line in exchange.export_project(store, chosen.id):
                typer.echo(line)
            return
        count = exchange.export_to(store, chosen.id, target)
    output.say(f"Wrote {count} lines to {target}.")


def _tracker_file(store: Store, project: Project) -> Path:
    """Return the tracker's file of a project. One that holds what was never imported is not to be overwritten."""
    directory = project.path / ".beads"
    found = next((directory / name for name in BEADS_FILES if (directory / name).is_file()), None)
    if found is None:
        if not directory.is_dir():
            raise NotFoundError(
                thing="directory", name=str(directory), cure="Write elsewhere with --output FILE, or make it."
            )
        return directory / BEADS_FILES[0]
    missing = exchange.unimported(store, project.id, found)
    if missing:
        raise RefusedError(
            problem=f"{found} holds changes that were never imported ({_named(missing)}), and they would be lost",
            cure=f"First: `dispatch import {found} --project {project.id}`.",
        )
    return found
