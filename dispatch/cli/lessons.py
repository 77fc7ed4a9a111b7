"""Lessons: `lessons list`, `lessons add`, `lessons search`, `lessons forget`."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import JsonOption, ProjectOption, calling_user, chosen_project
from dispatch.errors import BadInputError
from dispatch.learning import LessonsProvider
from dispatch.models.lesson import Lesson, LessonId, RankedLesson
from dispatch.settings import format_duration

_LARGEST_ID = 2**63 - 1


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="What was learned in a project: its runs are told what fits them.")
    group.command("list", epilog="Example: `dispatch lessons list --project shop`")(list_lessons)
    group.command(
        "add", epilog="Example: `dispatch lessons add 'Tests need the database' --detail 'Run make services first.'`"
    )(add)
    group.command("search", epilog="Example: `dispatch lessons search 'connection refused in tests'`")(search)
    group.command("forget", epilog="Example: `dispatch lessons forget 17`")(forget)
    app.add_typer(group, name="lessons")


def list_lessons(
    context: typer.Context,
    project: ProjectOption = None,
    every: Annotated[bool, typer.Option("--all", help="The forgotten ones too.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the lessons of a project, the one learned last first."""
    with CommandContext.of(context).store() as store:
        found = store.lessons.newest(chosen_project(store, project).id, limit, forgotten=every)
    if as_json:
        output.write_json([lesson_view(lesson) for lesson in found])
        return
    rows = [(lesson.id, lesson.confirmed_at, lesson.category, _title(lesson), lesson.bead_id) for lesson in found]
    output.write_table(("id", "learned", "category", "lesson", "bead"), rows, empty="Nothing was learned yet.")


def add(
    context: typer.Context,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The lesson in one line.", show_default=False)],
    detail: Annotated[str, typer.Option("--detail", "-d", help="What more there is to say; `-` reads it.")] = "",
    category: Annotated[str, typer.Option("--category", "-c", help="One word for what it is about.")] = "general",
    bead: Annotated[str, typer.Option("--bead", help="The bead at which it was learned.")] = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a lesson. The same one again is only learned again; one that was forgotten comes back."""
    command = CommandContext.of(context)
    text = typer.get_text_stream("stdin").read() if detail == "-" else detail
    with command.store() as store:
        key = store.reading.resolve(bead) if bead else None
        project_id = key.project_id if key is not None and project is None else chosen_project(store, project).id
        provider = LessonsProvider(store, command.settings)
        lesson = provider.record_lesson(
            project_id, category, title, text, key.bead_id if key else None, calling_user(), revive=True
        )
    if as_json:
        output.write_json(lesson_view(lesson))
    else:
        output.write(f"Lesson {lesson.id} of {lesson.project_id}: {lesson.title}")


def search(
    context: typer.Context,
    question: Annotated[str, typer.Argument(metavar="TEXT", help="A task, an error, or a few words.")],
    project: ProjectOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Find the lessons that fit a text, as a run with that task would, with their scores and what these are made of."""
    command = CommandContext.of(context)
    with command.store() as store:
        provider = LessonsProvider(store, command.settings)
        found = provider.search(chosen_project(store, project).id, question, limit)
        now = store.lessons.now()
    if as_json:
        output.write_json([_ranked_view(one, now) for one in found])
        return
    rows = [(one.lesson.id, f"{one.score:.3f}", _why(one, now), one.lesson.category, one.lesson.title) for one in found]
    output.write_table(("id", "score", "why", "category", "lesson"), rows, empty="Nothing was learned yet.")


def forget(
    context: typer.Context,
    lesson: Annotated[int, typer.Argument(metavar="ID", help="As `dispatch lessons list` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Forget a lesson: no run is told it any more. Forgetting it again changes nothing; adding it brings it back."""
    if not 0 < lesson <= _LARGEST_ID:
        raise BadInputError(
            place="a lesson", problem=f"{lesson} cannot be an id", cure="`dispatch lessons list` shows the ids."
        )
    with CommandContext.of(context).store() as store:
        changed = store.lessons.forget(LessonId(lesson))
        found = store.lessons.get(LessonId(lesson))
    if as_json:
        output.write_json({**lesson_view(found), "changed": changed})
    else:
        output.write(f"Lesson {found.id} {'is forgotten' if changed else 'was forgotten before'}: {found.title}")


def lesson_view(lesson: Lesson) -> dict[str, Any]:
    """Return what `--json` shows of a lesson."""
    return {
        "id": lesson.id,
        "project": lesson.project_id,
        "category": lesson.category,
        "title": lesson.title,
        "detail": lesson.detail,
        "bead": lesson.bead_id,
        "agent": lesson.agent_id,
        "run": lesson.run_id,
        "created_at": lesson.created_at,
        "confirmed_at": lesson.confirmed_at,
        "forgotten_at": lesson.forgotten_at,
    }


def _ranked_view(one: RankedLesson, now: datetime) -> dict[str, Any]:
    parts = {"words": one.found.words, "likeness": one.found.likeness, "freshness": one.freshness}
    return {**lesson_view(one.lesson), "score": one.score, **parts, "age_seconds": now - one.lesson.confirmed_at}


def _why(one: RankedLesson, now: datetime) -> str:
    words, likeness = one.found.words, one.found.likeness
    parts = [f"words {words:.1f}"] if words is not None else []
    parts += [f"likeness {likeness:.2f}"] if likeness is not None else []
    age = timedelta(seconds=max(0, int((now - one.lesson.confirmed_at).total_seconds())))
    return ", ".join([*parts, f"age {format_duration(age)}"])


def _title(lesson: Lesson) -> str:
    return f"{lesson.title} (forgotten)" if lesson.forgotten_at else lesson.title
