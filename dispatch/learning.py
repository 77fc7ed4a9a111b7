"""Lessons as the rest of dispatch uses them: recorded, found again, told to runs. What fails here costs no run."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog

from dispatch.embedders import PatientEmbedder, make_embedder
from dispatch.lessons import MOST_RECENT, HashingEmbedder, drafted, fused, recent_in_words, relevant_in_words
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId, RunId
from dispatch.models.lesson import FoundLesson, Lesson, RankedLesson
from dispatch.models.run import ErrorRecord
from dispatch.ports import Embedder
from dispatch.settings import LessonSettings, Settings
from dispatch.store import Store

EMBEDDED_AT_ONCE: Final = 16
"""Lessons of one call of an embedder, which has as little time as one for a run that starts."""
_MOST_DIMENSIONS: Final = 16_000
_CONTEXT_ROOM: Final = 4_000

log = structlog.get_logger(__name__)
T = TypeVar("T")


class LessonsProvider:
    """What was learned in projects: pgvector and full text fused, each without the other when it fails, else by age.

    `embedder` replaces the one that the settings name.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings | LessonSettings,
        *,
        embedder: Embedder | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._records = store.lessons
        self._settings = settings.lessons if isinstance(settings, Settings) else settings
        self._environ = environ
        self._embedder = self._bounded(embedder) if embedder is not None else None
        self._told: set[str] = set()

    def set_embedder(self, embedder: Embedder) -> None:
        """Use another embedder from now on. Vectors of the one before are made anew by housekeeping."""
        self._embedder = self._bounded(embedder)

    def get_lessons_for_prompt(self, project_id: str) -> str:
        """Return the newest lessons as Markdown: 15 and 4,000 characters at most; empty when there are none."""
        project = ProjectId(project_id)
        newest = self._records.newest(project, MOST_RECENT)
        more = self._records.count(project) - len(newest) if len(newest) == MOST_RECENT else 0
        return recent_in_words(newest, more)

    def get_relevant_lessons(self, project_id: str, task_context: str, top_k: int = 5) -> str:
        """Return the lessons that fit a task best as Markdown, in 2,000 characters at most; empty when there are none.

        The first line of the context counts more than the rest.
        """
        return relevant_in_words([one.lesson for one in self.search(project_id, task_context, top_k)])

    def record_lesson(
        self,
        project_id: str,
        category: str,
        title: str,
        detail: str,
        bead_id: str | None = None,
        agent_id: str = "",
        *,
        run_id: RunId | None = None,
        revive: bool = False,
    ) -> Lesson:
        """Store a lesson, and its vector when that works now; housekeeping makes the vector else.

        The same lesson again is only learned again; one that was forgotten stays so, unless with `revive`. Raises
        `BadInputError` for one that says nothing, and `NotFoundError` for the project.
        """
        lesson = self._records.record(
            ProjectId(project_id),
            drafted(category, title, detail),
            bead_id=BeadId(bead_id) if bead_id else None,
            agent_id=agent_id,
            run_id=run_id,
            revive=revive,
        )
        self._trying("the vector of a lesson is made later", 0, lambda: self._keep_vectors([lesson]))
        return lesson

    def search(self, project_id: str, task_context: str, top_k: int = 5) -> list[RankedLesson]:
        """Return the lessons that fit a task best, the best first, with how they were found.

        Without a vector they are found by words, and when none fits, or words fail too, the newest are returned.
        """
        project, context = ProjectId(project_id), task_context[:_CONTEXT_ROOM]
        none: list[FoundLesson] = []
        words = self._trying("lessons are searched without words", none, lambda: self._by_words(project, context))
        near = self._trying("lessons are searched without vectors", none, lambda: self._by_vector(project, context))
        ranked = fused(_joined(words, near), self._records.now(), self._settings.half_life)
        relevant = [one for one in ranked if one.score > 0]
        if relevant:
            return relevant[:top_k]
        newest = [FoundLesson(lesson=lesson) for lesson in self._records.newest(project, top_k)]
        return fused(newest, self._records.now(), self._settings.half_life)

    def tell(self, run_id: RunId, bead: Bead, errors: Sequence[ErrorRecord] = ()) -> str:
        """Return the lessons for a run that starts, as Markdown, and keep which they were. Nothing fails it."""
        return self._trying("a run is told no lessons", "", lambda: self._tell(run_id, bead, errors))

    def _tell(self, run_id: RunId, bead: Bead, errors: Sequence[ErrorRecord]) -> str:
        found = [one.lesson for one in self.search(bead.project_id, task_context(bead, errors), self._settings.top_k)]
        self._records.note_told(run_id, [lesson.id for lesson in found])
        return relevant_in_words(found)

    def refresh_vectors(self, limit: int = 8 * EMBEDDED_AT_ONCE) -> int:
        """Make vectors of lessons that have none of the present embedder, the newest first; return of how many.

        It stops after `limit`, or a batch more.
        """
        made = kept = self._trying("vectors of lessons are made later", 0, self._make_some_vectors)
        while kept and made < limit:
            kept = self._trying("vectors of lessons are made later", 0, self._make_some_vectors)
            made += kept
        return made

    def _make_some_vectors(self) -> int:
        return self._keep_vectors(self._records.without_vector(self._name(), EMBEDDED_AT_ONCE))

    def _by_words(self, project_id: ProjectId, context: str) -> list[FoundLesson]:
        return self._records.by_words(project_id, context)

    def _by_vector(self, project_id: ProjectId, context: str) -> list[FoundLesson]:
        if not self._records.has_vectors():
            return []
        (vector,) = self._vectors([context])
        return self._records.by_vector(project_id, vector, self._name())

    def _keep_vectors(self, lessons: Sequence[Lesson]) -> int:
        if not lessons or not self._records.has_vectors():
            return 0
        vectors = self._vectors([lesson.text for lesson in lessons])
        ids = [lesson.id for lesson in lessons]
        self._records.keep_vectors(self._name(), list(zip(ids, vectors, strict=True)))
        return len(ids)

    def _vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text; raises ValueError when the embedder gave something else."""
        vectors = [[float(value) for value in vector] for vector in self._present().embed(texts)]
        if len(vectors) != len(texts):
            raise ValueError(f"the embedder gave {len(vectors)} vectors for {len(texts)} texts")
        lengths = {len(vector) for vector in vectors}
        if len(lengths) != 1 or not 0 < max(lengths) <= _MOST_DIMENSIONS:
            raise ValueError(f"the embedder gave vectors of {sorted(lengths)} dimensions")
        if not all(math.isfinite(value) for vector in vectors for value in vector):
            raise ValueError("the embedder gave a vector with a value that is no number")
        return vectors

    def _present(self) -> HashingEmbedder | PatientEmbedder:
        if self._embedder is None:
            self._embedder = self._bounded(make_embedder(self._settings, self._environ))
        return self._embedder

    def _bounded(self, embedder: Embedder) -> HashingEmbedder | PatientEmbedder:
        if isinstance(embedder, HashingEmbedder):
            return embedder
        return PatientEmbedder(embedder, self._settings.timeout.total_seconds())

    def _name(self) -> str:
        return self._present().name

    def _trying(self, what: str, instead: T, work: Callable[[], T]) -> T:
        """Return what `work` returns; whatever it raises is logged once for each kind, and `instead` is returned."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - an embedder may raise anything; lessons are a help, no condition
            if what not in self._told:
                self._told.add(what)
                log.warning(what, cause=_in_short(error))
            return instead


def task_context(bead: Bead, errors: Sequence[ErrorRecord] = ()) -> str:
    """Return what lessons are searched by: title, labels, the last error, description."""
    last = errors[-1].error[:1000] if errors else ""
    return "\n".join((bead.title, " ".join(bead.labels), last, bead.description))[:_CONTEXT_ROOM]


def _joined(words: Sequence[FoundLesson], near: Sequence[FoundLesson]) -> list[FoundLesson]:
    likeness = {one.lesson.id: one.likeness for one in near}
    both = [
        FoundLesson(lesson=one.lesson, words=one.words, likeness=likeness.pop(one.lesson.id, None)) for one in words
    ]
    return [*both, *(one for one in near if one.lesson.id in likeness)]


def _in_short(error: Any) -> str:
    return f"{type(error).__name__}: {error}"[:300]
