"""Lessons: stored first, found by their words, by their vectors where there are any, or by their age."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.errors import NotFoundError
from dispatch.lessons import fingerprint, overcome
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId, RunId
from dispatch.models.lesson import FoundLesson, Lesson, LessonDraft, LessonId
from dispatch.models.outcome import Completed
from dispatch.models.run import Run
from dispatch.store import history, schema
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.vectors import VECTOR_TABLE, has_vectors
from dispatch.store.written import written

_LESSONS = schema.lessons
_CANDIDATES: Final = 200
"""How many the words and the vectors each bring into a search."""
_WEIGHED: Final = 1000
"""How many lessons that have a word of the question are weighed by how rare their words are."""
_LONGEST_QUESTION: Final = 4_000
_NO_WORD = re.compile(r"[\W_]+")
"""What parts words, as the column `words` has it: a path or a name in code is its parts."""
_COLUMNS = ", ".join(f"lessons.{column.name}" for column in _LESSONS.columns if column.name != "words")
_BY_WORDS = written(
    f"""
WITH question AS MATERIALIZED (
    SELECT replace(plainto_tsquery('english', :text)::text, ' & ', ' | ')::tsquery AS any_word
),
asked AS MATERIALIZED (
    SELECT lexeme, 1 + CAST(:title AS float8) * CAST('A' = ANY (weights) AS integer) AS emphasis
    FROM unnest(setweight(to_tsvector('english', :head), 'A') || setweight(to_tsvector('english', :rest), 'B'))
),
met AS MATERIALIZED (
    SELECT lessons.id, lessons.words, length(lessons.words) AS size
    FROM lessons, question
    WHERE lessons.project_id = :project AND forgotten_at IS NULL AND words @@ any_word
    ORDER BY ts_rank(words, any_word) DESC, id DESC
    LIMIT {_WEIGHED}
),
hits AS MATERIALIZED (
    SELECT met.id, met.size, lexeme, emphasis,
           (SELECT sum(CASE weight WHEN 'A' THEN CAST(:heading AS float8) ELSE 1 END)
            FROM unnest(weights) AS weight) AS times
    FROM met, unnest(met.words) JOIN asked USING (lexeme)
),
rarity AS (
    SELECT lexeme, ln(1 + (SELECT count(*) FROM lessons WHERE project_id = :project AND forgotten_at IS NULL)
                          / CAST(count(*) AS float8)) AS rare
    FROM hits GROUP BY lexeme
),
scored AS (
    SELECT hits.id, sum(
        emphasis * rare * times * (1 + CAST(:steep AS float8))
        / (times + CAST(:steep AS float8) * (1 - CAST(:long AS float8) + CAST(:long AS float8) * size
                                             / (SELECT avg(size) FROM met)))
    ) AS score
    FROM hits JOIN rarity USING (lexeme) GROUP BY hits.id
)
SELECT {_COLUMNS}, scored.score
FROM scored JOIN lessons USING (id)
ORDER BY scored.score DESC, lessons.confirmed_at DESC, lessons.id DESC
LIMIT :limit
"""
)
WORD_WEIGHTS: Final = {"title": 2.0, "heading": 4.0, "steep": 1.2, "long": 0.6}
"""What a word in the first line of a question counts more (`title`), and in the title of a lesson (`heading`); how fast
more of the same word adds less (`steep`), and what a long lesson loses (`long`)."""
_BY_VECTORS = written(
    f"""
SELECT {_COLUMNS}, 1 - (vector <=> CAST(:vector AS vector)) AS score
FROM {VECTOR_TABLE} JOIN lessons ON lessons.id = lesson_id
WHERE project_id = :project AND forgotten_at IS NULL AND embedder = :embedder AND dimensions = :dimensions
ORDER BY vector <=> CAST(:vector AS vector), lessons.id DESC
LIMIT :limit
"""
)
_KEEP_VECTOR = text(
    f"""
INSERT INTO {VECTOR_TABLE} (lesson_id, embedder, dimensions, vector)
VALUES (:lesson, :embedder, :dimensions, CAST(:vector AS vector))
ON CONFLICT (lesson_id) DO UPDATE SET embedder = EXCLUDED.embedder, dimensions = EXCLUDED.dimensions,
    vector = EXCLUDED.vector
"""
)
_WITHOUT_VECTOR = text(
    f"""
SELECT {_COLUMNS} FROM lessons LEFT JOIN {VECTOR_TABLE} ON lesson_id = lessons.id
WHERE forgotten_at IS NULL AND embedder IS DISTINCT FROM :embedder
ORDER BY confirmed_at DESC LIMIT :limit
"""
)


class LessonRecords:
    """The lessons of projects."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def has_vectors(self) -> bool:
        """Tell whether vectors can be kept: PostgreSQL has pgvector, and the table is made."""
        with self._units.read() as tx:
            return has_vectors(tx.connection)

    def now(self) -> datetime:
        """Return the moment from which ages are counted."""
        with self._units.read() as tx:
            return tx.moment()

    def record(
        self,
        project_id: ProjectId,
        draft: LessonDraft,
        *,
        bead_id: BeadId | None = None,
        agent_id: str = "",
        run_id: RunId | None = None,
        revive: bool = False,
    ) -> Lesson:
        """Store a lesson; one that says the same is only learned again. Raises `NotFoundError` for the project.

        A forgotten one stays forgotten, unless with `revive`.
        """
        with self._units.begin() as tx:
            projects = schema.projects
            if tx.connection.execute(select(projects.c.id).where(projects.c.id == project_id)).scalar() is None:
                raise NotFoundError(thing="project", name=project_id, cure="See `dispatch project list`.")
            return _record(tx, project_id, draft, bead_id, agent_id, run_id, revive=revive)

    def get(self, lesson_id: LessonId) -> Lesson:
        """Return a lesson, forgotten or not; raises `NotFoundError`."""
        with self._units.read() as tx:
            row = tx.connection.execute(select(_LESSONS).where(_LESSONS.c.id == lesson_id)).one_or_none()
        if row is None:
            raise NotFoundError(thing="lesson", name=str(lesson_id), cure="`dispatch lessons list` shows the ids.")
        return _lesson(row)

    def forget(self, lesson_id: LessonId) -> bool:
        """Let a lesson be told to nobody any more; False when it was forgotten before. Raises `NotFoundError`."""
        with self._units.begin() as tx:
            row = tx.connection.execute(
                update(_LESSONS)
                .where(_LESSONS.c.id == lesson_id, _LESSONS.c.forgotten_at.is_(None))
                .values(forgotten_at=tx.now())
                .returning(_LESSONS.c.project_id)
            ).one_or_none()
            if row is not None:
                history.add_event(tx, "lesson.forgotten", project_id=row.project_id, lesson=lesson_id)
                return True
        self.get(lesson_id)
        return False

    def newest(self, project_id: ProjectId, limit: int | None = None, *, forgotten: bool = False) -> list[Lesson]:
        """Return the lessons of a project, the one learned last first; with `forgotten` those too."""
        kept = () if forgotten else (_LESSONS.c.forgotten_at.is_(None),)
        statement = (
            select(_LESSONS)
            .where(_LESSONS.c.project_id == project_id, *kept)
            .order_by(_LESSONS.c.confirmed_at.desc(), _LESSONS.c.id.desc())
            .limit(limit)
        )
        with self._units.read() as tx:
            return [_lesson(row) for row in tx.connection.execute(statement)]

    def count(self, project_id: ProjectId) -> int:
        statement = select(func.count()).where(_LESSONS.c.project_id == project_id, _LESSONS.c.forgotten_at.is_(None))
        with self._units.read() as tx:
            return tx.connection.execute(statement).scalar_one()

    def by_words(
        self, project_id: ProjectId, question: str, *, limit: int = _CANDIDATES, weights: dict[str, float] | None = None
    ) -> list[FoundLesson]:
        """Return lessons that have a word of a question, the best first: rare words count more than common ones.

        The first line of the question counts more than the rest.
        """
        head, _, rest = question[:_LONGEST_QUESTION].partition("\n")
        head, rest = (_NO_WORD.sub(" ", part) for part in (head, rest))
        with self._units.read() as tx:
            rows = tx.run(
                _BY_WORDS,
                project=project_id,
                text=f"{head} {rest}",
                head=head,
                rest=rest,
                limit=limit,
                **(weights or WORD_WEIGHTS),
            )
        return [FoundLesson(lesson=_lesson(row), words=row.score) for row in rows]

    def by_vector(
        self, project_id: ProjectId, vector: Sequence[float], embedder: str, *, limit: int = _CANDIDATES
    ) -> list[FoundLesson]:
        """Return the lessons whose vectors, made by the same embedder, are nearest."""
        with self._units.read() as tx:
            if not has_vectors(tx.connection):
                return []
            rows = tx.run(
                _BY_VECTORS,
                project=project_id,
                vector=_written(vector),
                embedder=embedder,
                dimensions=len(vector),
                limit=limit,
            )
        return [FoundLesson(lesson=_lesson(row), likeness=row.score) for row in rows if math.isfinite(row.score)]

    def without_vector(self, embedder: str, limit: int) -> list[Lesson]:
        """Return lessons that have no vector of that embedder, the newest first; none where vectors cannot be kept."""
        with self._units.read() as tx:
            if not has_vectors(tx.connection):
                return []
            rows = tx.connection.execute(_WITHOUT_VECTOR, {"embedder": embedder, "limit": limit})
            return [_lesson(row) for row in rows]

    def keep_vectors(self, embedder: str, vectors: Sequence[tuple[LessonId, Sequence[float]]]) -> None:
        """Keep vectors of lessons instead of those they had."""
        rows = [
            {"lesson": lesson_id, "embedder": embedder, "dimensions": len(vector), "vector": _written(vector)}
            for lesson_id, vector in sorted(vectors, key=lambda pair: pair[0])
        ]
        with self._units.begin() as tx:
            if rows and has_vectors(tx.connection):
                tx.connection.execute(_KEEP_VECTOR, rows)

    def note_told(self, run_id: RunId, lesson_ids: Sequence[LessonId]) -> None:
        """Keep which lessons a run was given."""
        if not lesson_ids:
            return
        told = schema.run_lessons
        rows = [{"run_id": run_id, "lesson_id": lesson_id} for lesson_id in sorted(lesson_ids)]
        with self._units.begin() as tx:
            tx.connection.execute(upsert(told).on_conflict_do_nothing(), rows)

    def told(self, run_ids: Sequence[RunId]) -> dict[RunId, list[Lesson]]:
        """Return which lessons runs were given."""
        links = schema.run_lessons
        statement = (
            select(_LESSONS, links.c.run_id.label("told_to"))
            .join(links, links.c.lesson_id == _LESSONS.c.id)
            .where(links.c.run_id.in_(list(run_ids)))
            .order_by(_LESSONS.c.id)
        )
        found: dict[RunId, list[Lesson]] = {}
        with self._units.read() as tx:
            for row in tx.connection.execute(statement):
                found.setdefault(RunId(row.told_to), []).append(_lesson(row))
        return found


def record_overcome(tx: Transaction, bead: Bead, run: Run) -> None:
    """Store the lesson of a bead whose run succeeded after others had failed; nothing when it did not complete."""
    if not isinstance(run.outcome, Completed):
        return
    errors = schema.errors
    last = tx.connection.execute(
        select(errors.c.error)
        .where(errors.c.project_id == bead.project_id, errors.c.bead_id == bead.id)
        .order_by(errors.c.id.desc())
        .limit(1)
    ).scalar()
    if last is not None and last.strip():
        draft = overcome(bead, last, run.outcome.summary)
        _record(tx, ProjectId(bead.project_id), draft, bead.id, run.agent_name, run.id)


def _record(
    tx: Transaction,
    project_id: ProjectId,
    draft: LessonDraft,
    bead_id: BeadId | None,
    agent_id: str,
    run_id: RunId | None,
    *,
    revive: bool = False,
) -> Lesson:
    now = tx.moment()
    insertion = upsert(_LESSONS).values(
        project_id=project_id,
        category=draft.category,
        title=draft.title,
        detail=draft.detail,
        bead_id=bead_id,
        agent_id=agent_id,
        run_id=run_id,
        fingerprint=fingerprint(draft),
        created_at=now,
        confirmed_at=now,
    )
    again = {"confirmed_at": now, **({"forgotten_at": None} if revive else {})}
    row = tx.connection.execute(
        insertion.on_conflict_do_update(index_elements=["project_id", "fingerprint"], set_=again).returning(
            _LESSONS, literal_column("lessons.xmax = 0").label("is_new")
        )
    ).one()
    if row.is_new:
        history.add_event(
            tx, "lesson.recorded", project_id=project_id, run_id=run_id, lesson=row.id, category=row.category
        )
    return _lesson(row)


def _written(vector: Sequence[float]) -> str:
    """Return a vector as pgvector reads it."""
    return f"[{','.join(format(value, '.7g') for value in vector)}]"


def _lesson(row: Any) -> Lesson:
    return Lesson(
        id=LessonId(row.id),
        project_id=ProjectId(row.project_id),
        category=row.category,
        title=row.title,
        detail=row.detail,
        bead_id=BeadId(row.bead_id) if row.bead_id is not None else None,
        agent_id=row.agent_id,
        run_id=RunId(row.run_id) if row.run_id is not None else None,
        created_at=row.created_at,
        confirmed_at=row.confirmed_at,
        forgotten_at=row.forgotten_at,
    )
