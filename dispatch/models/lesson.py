"""What was learned in a project, and how a lesson was found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType

from dispatch.models.identity import BeadId, ProjectId, RunId

LessonId = NewType("LessonId", int)

OVERCOME: Final = "overcome"
"""The category of lessons from failures that a later run overcame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonDraft:
    """A lesson before it is stored: `category` is one word, `title` one line, `detail` any text."""

    category: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Something learned in a project that later runs are told.

    `confirmed_at` is when it was last learned; its age counts from there. One with `forgotten_at` is told to nobody.
    `bead_id`, `agent_id` and `run_id` say where it was learned, as far as that is known.
    """

    id: LessonId
    project_id: ProjectId
    category: str
    title: str
    detail: str
    bead_id: BeadId | None
    agent_id: str
    run_id: RunId | None
    created_at: datetime
    confirmed_at: datetime
    forgotten_at: datetime | None = None

    @property
    def text(self) -> str:
        """What is embedded: the title is the first line."""
        return f"{self.title}\n{self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLesson:
    """A lesson that a search met: how well by its words, and by its vector; None: not by that.

    `words` is at least 0, more is better, and only comparable within one search. `likeness` is a cosine, 1 at most.
    """

    lesson: Lesson
    words: float | None = None
    likeness: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedLesson:
    """A lesson in the order of relevance, with what that is made of.

    `score` is that of the words and the likeness together (0 to 1), times `freshness` (0 to 1), which falls with age.
    """

    found: FoundLesson
    score: float
    freshness: float

    @property
    def lesson(self) -> Lesson:
        return self.found.lesson
