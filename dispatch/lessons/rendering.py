"""Lessons as Markdown for a prompt, within a budget of characters."""

import re
from collections.abc import Sequence
from typing import Final

from dispatch.lessons.drafting import one_line, shortened
from dispatch.models.lesson import Lesson

RECENT_ROOM: Final = 4_000
RELEVANT_ROOM: Final = 2_000
MOST_RECENT: Final = 15
_MOST_OF_ONE: Final = 700
"""Characters that one lesson may take."""
_LEAST_OF_ONE: Final = 120
"""Room under which no further lesson is begun."""
_MARKUP = re.compile(r"(?m)^(\s*)(#|`{3,}|~{3,}|>|[-=]{3,}\s*$)")


def recent_in_words(lessons: Sequence[Lesson], more: int = 0) -> str:
    """Return the newest lessons in at most 4,000 characters, 15 at most; `more`: so many exist beside these."""
    return _listed(lessons[:MOST_RECENT], RECENT_ROOM, more + max(0, len(lessons) - MOST_RECENT), "older")


def relevant_in_words(lessons: Sequence[Lesson]) -> str:
    """Return lessons, the most relevant first, in at most 2,000 characters; empty when there are none."""
    return _listed(lessons, RELEVANT_ROOM, 0, "less relevant")


def _listed(lessons: Sequence[Lesson], room: int, more: int, which: str) -> str:
    lines: list[str] = []
    left = room
    for number, lesson in enumerate(lessons):
        note = _note(len(lessons) - number + more, which)
        available = left - len(note) - 2
        if available < _LEAST_OF_ONE:
            return "\n".join([*lines, note])
        lines.append(_item(lesson, min(_MOST_OF_ONE, available)))
        left -= len(lines[-1]) + 1
    return "\n".join([*lines, *([_note(more, which)] if more and lines else [])])


def _note(count: int, which: str) -> str:
    return f"({count} {which} {'lesson is' if count == 1 else 'lessons are'} left out.)"


def _item(lesson: Lesson, room: int) -> str:
    """Return a lesson as an item of a list; what it says is indented and stays inside of it."""
    head = f"- **{one_line(lesson.title)}** ({one_line(lesson.category)})"
    if len(head) + 40 > room or not lesson.detail.strip():
        return shortened(head, room)
    body = "\n".join(f"  {_plain(line)}" for line in lesson.detail.splitlines() if line.strip())
    return f"{head}:\n{shortened(body, room - len(head) - 2)}"


def _plain(line: str) -> str:
    """Return a line without control characters, and without what would begin a heading, a fence or a quotation."""
    return _MARKUP.sub(r"\1\\\2", one_line(line))
