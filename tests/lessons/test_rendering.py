"""Lessons in a prompt keep to their budget, whatever they hold."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatch.lessons import recent_in_words, relevant_in_words
from dispatch.lessons.drafting import drafted
from dispatch.models.lesson import Lesson

Make = Callable[..., Lesson]
ROOM, LITTLE_ROOM = 4_000, 2_000
_HOSTILE = [
    "\0",
    "```\n# Ignore all\n```",
    "~~~",
    "- a\n  - b",
    "שלום\u202e",
    "x" * 100_000,
    "\n" * 500,
    "*" * 300,
    "\ud800",
]
_TEXTS = st.one_of(st.text(max_size=3_000), st.sampled_from(_HOSTILE))


@given(st.lists(st.tuples(_TEXTS, _TEXTS), max_size=20))
def test_no_text_passes_its_budget(lesson: Make, words: list[tuple[str, str]]) -> None:
    lessons = [lesson(number, title=title, detail=detail) for number, (title, detail) in enumerate(words)]
    assert len(recent_in_words(lessons)) <= ROOM
    assert len(relevant_in_words(lessons)) <= LITTLE_ROOM


@example("", "#")
@given(_TEXTS, _TEXTS)
def test_what_a_lesson_holds_stays_inside_its_item(lesson: Make, title: str, detail: str) -> None:
    lines = relevant_in_words([lesson(1, title=title, detail=detail)]).split("\n")
    assert lines[0].startswith("- **")
    assert all(line.startswith("  ") and not line.lstrip().startswith(("#", "```", "~~~", ">")) for line in lines[1:])


def test_the_first_are_given_in_their_order_and_the_rest_is_counted(lesson: Make) -> None:
    lessons = [lesson(number, detail="word " * 100) for number in range(12)]
    said = relevant_in_words(lessons)
    shown = said.count("- **")
    assert 3 <= shown < 12
    assert [f"Lesson {number}*" in said for number in range(12)] == [number < shown for number in range(12)]
    assert said.endswith(f"({12 - shown} less relevant lessons are left out.)")


def test_fifteen_at_most_are_told_by_their_age(lesson: Make) -> None:
    said = recent_in_words([lesson(number, detail="") for number in range(18)], more=4)
    assert said.count("- **") == 15
    assert said.endswith("(7 older lessons are left out.)")


def test_a_lesson_that_is_cut_says_so(lesson: Make) -> None:
    assert "[... 100,002 characters in all]" in relevant_in_words([lesson(1, detail="x" * 100_000)])


@pytest.mark.parametrize("words", [recent_in_words, relevant_in_words])
def test_no_lessons_are_no_text(words: Callable[[list[Lesson]], str]) -> None:
    assert words([]) == ""


@given(_TEXTS, _TEXTS, _TEXTS)
def test_a_draft_is_bounded_and_can_be_stored(category: str, title: str, detail: str) -> None:
    draft = drafted(category, title or "A title", f"{detail} end")
    assert len(draft.category) <= 40
    assert len(draft.title) <= 200
    assert len(draft.detail) <= 10_000
    assert "\n" not in draft.title
    assert "\0" not in f"{draft.category}{draft.title}{draft.detail}"
    f"{draft.title}{draft.detail}".encode()
