"""How often the lesson that matters is found, over the beads of a real tracker beside the checkout.

Its beads are played through in the order in which they were made, each one recorded as a lesson of its title and
description, at its time. A bead that is joined with earlier ones (`related`, `relates-to`, `discovered-from`,
`duplicates`; and `parent-child`, since those are few) first asks for lessons by its own title and description: the
earlier ones are what it should find. So a question is never its own answer, and nothing of the future is known.
Recency gives the newest lessons at that moment.

The questions are parted into two halves by a hash of their beads' ids. Parameters were chosen on the first half; the
table is of the second. Recall@5 is the share of pairs whose lesson is among the first five, MRR the mean of one by its
place.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.parts.bench import Bench
from benchmarks.parts.figures import Row, Target
from dispatch.learning import LessonsProvider
from dispatch.lessons import WORDS_ALONE, HashingEmbedder, drafted
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.lesson import FoundLesson, Lesson
from dispatch.settings import LessonSettings
from dispatch.store import FixedClock, Store, make_engine

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "beads.jsonl"
EDGES = frozenset({"related", "relates-to", "discovered-from", "duplicates", "parent-child"})
SHORT_BEADS = 250
FOUND = 60
"""Places that are looked at; what comes later counts as not found."""
_LEASE = timedelta(seconds=45)
RECENCY, HASHING, FULL_TEXT, BOTH = "recency", "256-dimension hashing of words", "full text", "ours"
WAYS = (RECENCY, HASHING, FULL_TEXT, BOTH)
_FULL_TEXT = text(
    """
WITH question AS MATERIALIZED (
    SELECT replace(plainto_tsquery('english', :text)::text, ' & ', ' | ')::tsquery AS any_word
)
SELECT bead_id FROM lessons, question
WHERE project_id = :project AND words @@ any_word ORDER BY ts_rank(words, any_word) DESC, id DESC LIMIT :limit
"""
)


@dataclass(frozen=True, slots=True)
class Question:
    """A bead of the tracker, and the earlier ones that it is joined with."""

    id: str
    title: str
    description: str
    made_at: datetime
    joined: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.title}\n{self.description}"

    @property
    def is_of_test(self) -> bool:
        return hashlib.sha256(self.id.encode()).digest()[-1] % 2 == 1


@dataclass(slots=True)
class Score:
    """The places at which what was looked for was found; None: it was not."""

    places: list[int | None] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return sum(place is not None and place <= 5 for place in self.places) / (len(self.places) or 1)

    @property
    def mrr(self) -> float:
        return sum(1 / place for place in self.places if place is not None) / (len(self.places) or 1)


def measure(bench: Bench) -> list[Row]:
    """Return recall and MRR of each way on the half of the questions that no parameter was chosen on."""
    if not DATA.exists():
        return rows_of({name: Score() for name in WAYS}, f"left out: {DATA.name} is not in ../shared/data")
    beads = read_beads(DATA)
    store_clock = FixedClock(datetime(2000, 1, 1, tzinfo=UTC))
    store = Store(make_engine(bench.place().database("retrieval")), lease=_LEASE, clock=store_clock)
    try:
        scores = play(store, store_clock, beads[:SHORT_BEADS] if bench.short else beads)
    finally:
        store.close()
    return rows_of(scores)


def rows_of(scores: Mapping[str, Score], left_out: str = "") -> list[Row]:
    """Return a row for each figure of each way; without a target where nothing was measured."""
    note = left_out or f"{len(scores[BOTH].places)} pairs"
    rows = []
    for figure in ("recall", "mrr"):
        best = max(getattr(score, figure) for name, score in scores.items() if name != BOTH)
        for name, score in scores.items():
            target = (
                Target(of="value", kind="at least", bound=round(best, 3)) if name == BOTH and not left_out else None
            )
            unit = "recall@5" if figure == "recall" else "MRR"
            value = getattr(score, figure)
            rows.append(Row(name=f"{name}, {unit}", value=value, unit=unit, target=target, note=note))
    return rows


def read_beads(path: Path) -> list[Question]:
    """Return the beads of a tracker's file in the order in which they were made."""
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    entries = [entry for entry in entries if "id" in entry and "title" in entry]
    order = sorted(range(len(entries)), key=lambda place: (_made_at(entries[place]), place))
    beads = [entries[place] for place in order]
    places = {bead["id"]: place for place, bead in enumerate(beads)}
    joined: dict[str, set[str]] = defaultdict(set)
    for bead in beads:
        for edge in bead.get("dependencies") or ():
            ends = (edge["issue_id"], edge["depends_on_id"])
            if edge["type"] in EDGES and ends[0] != ends[1] and all(end in places for end in ends):
                earlier, later = sorted(ends, key=places.__getitem__)
                joined[later].add(earlier)
    return [
        Question(
            bead["id"],
            bead["title"],
            bead.get("description") or "",
            _made_at(bead),
            tuple(sorted(joined[bead["id"]])),
        )
        for bead in beads
    ]


def _made_at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["created_at"].replace("Z", "+00:00"))


class Shelf:
    """The lessons of one project with the vectors of one embedder, which are made when somebody is about to ask."""

    def __init__(self, store: Store, project: ProjectId, embedder: HashingEmbedder) -> None:
        self.store, self.project, self.embedder = store, project, embedder
        self._without_vector: list[Lesson] = []
        store.projects.add(project, Path(f"/srv/{project}"), project)

    def add(self, bead: Question) -> None:
        draft = drafted("bead", bead.title, bead.description or bead.id)
        self._without_vector.append(self.store.lessons.record(self.project, draft, bead_id=BeadId(bead.id)))

    def complete(self) -> None:
        waiting, self._without_vector = self._without_vector, []
        vectors = self.embedder.embed([lesson.text for lesson in waiting])
        ids = [lesson.id for lesson in waiting]
        self.store.lessons.keep_vectors(self.embedder.name, list(zip(ids, vectors, strict=True)))

    def nearest(self, asked: str) -> list[FoundLesson]:
        (vector,) = self.embedder.embed([asked])
        return self.store.lessons.by_vector(self.project, vector, self.embedder.name, limit=FOUND)


def play(store: Store, clock: FixedClock, beads: Sequence[Question], *, test: bool = True) -> dict[str, Score]:
    """Record the beads one after the other, and let those of a half ask before."""
    ours = Shelf(store, ProjectId("ours"), HashingEmbedder())
    hashed = Shelf(store, ProjectId("hashed"), HashingEmbedder(256, WORDS_ALONE))
    provider = LessonsProvider(store, LessonSettings(), embedder=ours.embedder)
    ways: dict[str, Callable[[str], Sequence[str]]] = {
        RECENCY: lambda _asked: _beads_of(store.lessons.newest(ours.project, FOUND)),
        HASHING: lambda asked: _beads_of(one.lesson for one in hashed.nearest(asked)),
        FULL_TEXT: lambda asked: _by_full_text(store, ours.project, asked),
        BOTH: lambda asked: _beads_of(one.lesson for one in provider.search(ours.project, asked, FOUND)),
    }
    scores = {name: Score() for name in ways}
    for bead in beads:
        clock.advance(max(timedelta(), bead.made_at - clock.at))
        if bead.joined and bead.is_of_test == test:
            for shelf in (ours, hashed):
                shelf.complete()
            for name, answers in ways.items():
                given = answers(bead.text)
                scores[name].places += [given.index(one) + 1 if one in given else None for one in bead.joined]
        for shelf in (ours, hashed):
            shelf.add(bead)
    return scores


def _beads_of(lessons: Iterable[Lesson]) -> list[str]:
    return [lesson.bead_id or "" for lesson in lessons]


def _by_full_text(store: Store, project: ProjectId, asked: str) -> list[str]:
    with store.units.read() as tx:
        rows = tx.connection.execute(
            _FULL_TEXT, {"text": re.sub(r"[\W_]+", " ", asked), "project": project, "limit": FOUND}
        )
        return [row.bead_id for row in rows]
