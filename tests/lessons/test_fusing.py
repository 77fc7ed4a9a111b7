"""One order out of words, vectors and age."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dispatch.lessons import Blend, fused
from dispatch.lessons.fusing import freshness
from dispatch.models.lesson import FoundLesson, Lesson

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
LIFE = timedelta(hours=1)
Make = Callable[..., Lesson]


def _order(*found: FoundLesson, blend: Blend | None = None) -> list[int]:
    return [one.lesson.id for one in fused(found, NOON, LIFE, blend or Blend())]


def test_what_both_found_comes_before_what_one_found(lesson: Make) -> None:
    words = FoundLesson(lesson=lesson(1), words=9.0)
    both = FoundLesson(lesson=lesson(2), words=8.5, likeness=0.8)
    near = FoundLesson(lesson=lesson(3), likeness=0.9)
    assert _order(words, near, both) == [2, 1, 3]


def test_among_equals_the_newest_comes_first(lesson: Make) -> None:
    assert _order(FoundLesson(lesson=lesson(1)), FoundLesson(lesson=lesson(2))) == [2, 1]


def test_relevance_falls_with_age(lesson: Make) -> None:
    old = FoundLesson(lesson=lesson(1, age=timedelta(days=30)), words=5.0)
    new = FoundLesson(lesson=lesson(2), words=4.0)
    assert _order(old, new) == [2, 1]


def test_an_old_lesson_that_fits_beats_a_new_one_that_does_not(lesson: Make) -> None:
    old = FoundLesson(lesson=lesson(1, age=timedelta(days=365)), words=9.0, likeness=0.6)
    new = FoundLesson(lesson=lesson(2), words=0.1, likeness=0.001)
    assert _order(old, new) == [1, 2]


@pytest.mark.parametrize(("age", "left"), [(0, 1.0), (1, 0.5), (-5, 1.0)])
def test_the_half_life_is_when_half_is_left(age: int, left: float) -> None:
    assert freshness(timedelta(hours=age), LIFE) == pytest.approx(left)


def test_it_halves_about_again_at_sixteen_times_the_age() -> None:
    assert freshness(timedelta(hours=1600), LIFE) / freshness(timedelta(hours=100), LIFE) == pytest.approx(
        0.5, rel=1e-2
    )


def test_a_score_is_between_nothing_and_one(lesson: Make) -> None:
    (one,) = fused([FoundLesson(lesson=lesson(), words=3.0, likeness=0.2)], NOON, LIFE)
    assert one.score == pytest.approx(1.0)
    (none,) = fused([FoundLesson(lesson=lesson(), likeness=-0.4)], NOON, LIFE)
    assert none.score == 0


def test_nothing_found_is_nothing() -> None:
    assert fused([], NOON, LIFE) == []
