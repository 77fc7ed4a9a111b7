"""Lessons made in memory."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatch.models.identity import ProjectId
from dispatch.models.lesson import Lesson, LessonId

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def lesson() -> Callable[..., Lesson]:
    """Given a function that makes a lesson of an age."""

    def make(number: int = 1, *, age: timedelta = timedelta(), **fields: Any) -> Lesson:
        moment = NOON - age
        words = {"category": "tests", "title": f"Lesson {number}", "detail": "It is so."} | fields
        return Lesson(
            id=LessonId(number),
            project_id=ProjectId("shop"),
            bead_id=None,
            agent_id="",
            run_id=None,
            created_at=moment,
            confirmed_at=moment,
            **words,
        )

    return make
