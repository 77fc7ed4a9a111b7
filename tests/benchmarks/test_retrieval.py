"""The retrieval benchmark on a small set of our own making: what it counts, and that ours is the best of the four."""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.retrieval import BOTH, RECENCY, WAYS, Question, play, read_beads, rows_of

PARTS = (
    "basket",
    "invoice",
    "login",
    "search",
    "upload",
    "report",
    "mailer",
    "cache",
    "theme",
    "backup",
    "export",
    "queue",
)
FAULTS = (
    "times out",
    "shows a wrong total",
    "loses its order",
    "crashes on empty input",
    "is too slow",
    "leaks memory",
)
PLACES = ("the proxy", "PostgreSQL", "the browser", "a worker", "the scheduler", "the parser", "Redis", "the compiler")
FORMS = {"crashes": "crashing", "times": "timing", "loses": "losing", "leaks": "leaking", "shows": "showing"}


def _beads(scene: Any, count: int) -> list[Question]:
    """Make beads of a few common words, every third of which takes up an earlier one, mostly one made lately."""
    chance, beads = random.Random(7), []
    moment = scene.clock.at
    for number in range(count):
        moment += timedelta(minutes=chance.choice((1, 2, 5, 600)))
        part, fault, place = chance.choice(PARTS), chance.choice(FAULTS), chance.choice(PLACES)
        title, joined = f"The {part} {fault}", ()
        if number > 30 and number % 3 == 0:
            earlier = beads[-chance.choice((1, 2, 3, 5, 8, 13, number // 2))]
            _, part, *words = earlier.title.removeprefix("Stop ").replace(" from ", " ").split()
            title = f"Stop the {part} from {' '.join(FORMS.get(word, word) for word in words)}"
            joined = (earlier.id,)
        detail = f"It was seen near {place} in module{chance.randrange(40)}.py. Please have a look at it soon."
        beads.append(Question(f"own-{number}", title, detail, moment, joined))
    return beads


def test_ours_is_at_least_as_good_as_each_way_alone(scene: Any) -> None:
    scores = play(scene.store, scene.clock, _beads(scene, 250))
    ours = scores[BOTH]
    assert len(ours.places) > 20
    for way in WAYS:
        assert ours.recall >= scores[way].recall, way
        assert ours.mrr >= scores[way].mrr, way
    assert ours.mrr > scores[RECENCY].mrr


def test_a_bead_is_asked_for_what_is_older_and_never_for_itself(tmp_path: Path) -> None:
    file = tmp_path / "beads.jsonl"
    edges = [
        {"issue_id": "b", "depends_on_id": "a", "type": "related"},
        {"issue_id": "b", "depends_on_id": "c", "type": "discovered-from"},
        {"issue_id": "b", "depends_on_id": "b", "type": "related"},
        {"issue_id": "b", "depends_on_id": "gone", "type": "related"},
        {"issue_id": "b", "depends_on_id": "a", "type": "blocks"},
    ]
    lines: list[dict[str, Any]] = [
        {"id": "c", "title": "C", "created_at": "2026-01-03T00:00:00Z"},
        {"id": "b", "title": "B", "created_at": "2026-01-02T00:00:00Z", "dependencies": edges},
        {"id": "a", "title": "A", "created_at": "2026-01-01T20:00:00-02:00"},
        {"_type": "memory", "key": "k", "value": "v"},
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert [(bead.id, bead.joined) for bead in read_beads(file)] == [("a", ()), ("b", ("a",)), ("c", ("b",))]


def test_the_rows_of_nothing_have_no_target() -> None:
    from benchmarks.retrieval import Score

    rows = rows_of({way: Score() for way in WAYS}, "left out: no data")
    assert {(row.value, row.target, row.note) for row in rows} == {(0, None, "left out: no data")}
