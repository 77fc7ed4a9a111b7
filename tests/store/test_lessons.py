"""Lessons in the database: stored once, found by words, by vectors and by age, and told to runs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.errors import NotFoundError
from dispatch.learning import LessonsProvider
from dispatch.lessons import HashingEmbedder, drafted
from dispatch.models.identity import ProjectId
from dispatch.models.lesson import LessonId
from dispatch.models.outcome import Completed, Failed
from dispatch.settings import LessonSettings
from dispatch.store.vectors import make_vectors

SHOP = ProjectId("shop")
LESSONS = (
    ("services", "Start the services before the tests", "The tests need PostgreSQL: run `make services`."),
    ("style", "Colours come from theme.css", "Buttons and links never name a colour themselves."),
    ("network", "The proxy ends uploads after 60 s", "Send large files in parts, and try each part again."),
    ("build", "Wheels are built with Python 3.11", "Newer ones miss the headers of libfoo."),
)


@pytest.fixture
def lessons(scene: Any) -> LessonsProvider:
    """Given four lessons of a project, each an hour younger than the one before."""
    provider = LessonsProvider(scene.store, LessonSettings())
    for category, title, detail in LESSONS:
        provider.record_lesson(SHOP, category, title, detail)
        scene.clock.advance(timedelta(hours=1))
    return provider


def _titles(found: Sequence[Any]) -> list[str]:
    return [one.lesson.title for one in found]


def _drop_vectors(scene: Any) -> None:
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("DROP TABLE lesson_vectors"))


class Broken:
    """An embedder that gives what it is told to, or raises it."""

    name = "broken"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls = 0

    def embed(self, texts: Sequence[str]) -> Any:
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_the_lesson_that_fits_comes_first(lessons: LessonsProvider) -> None:
    assert _titles(lessons.search(SHOP, "uploading a large file fails"))[0] == LESSONS[2][1]
    said = lessons.get_relevant_lessons(SHOP, "test_basket: connection to PostgreSQL refused", top_k=1)
    assert said.startswith("- **Start the services before the tests** (services):\n  The tests need PostgreSQL")


def test_all_lessons_are_told_the_newest_first(lessons: LessonsProvider) -> None:
    said = lessons.get_lessons_for_prompt(SHOP)
    places = [said.index(title) for _, title, _ in LESSONS]
    assert places == sorted(places, reverse=True)
    assert lessons.get_lessons_for_prompt("nowhere") == lessons.get_relevant_lessons("nowhere", "x") == ""


def test_a_rare_word_counts_more_than_common_ones(scene: Any) -> None:
    for number in range(30):
        scene.store.lessons.record(SHOP, drafted("x", f"Run the tests number {number}", "Run the tests."))
    scene.store.lessons.record(SHOP, drafted("x", "Zookeeper needs a quorum", "Of three."))
    found = scene.store.lessons.by_words(SHOP, "run the tests of zookeeper")
    assert found[0].lesson.title == "Zookeeper needs a quorum"


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("no model"),
        [],
        [[1.0], [2.0]],
        [[]],
        [["x"]],
        [[float("nan")]],
        [[0.0] * 8],
        [[1.0] * 16_001],
        None,
        [[1.0, 2.0]],
    ],
    ids=lambda answer: repr(answer)[:20],
)
def test_whatever_an_embedder_does_lessons_are_found_by_their_words(lessons: LessonsProvider, answer: Any) -> None:
    lessons.set_embedder(Broken(answer))
    assert _titles(lessons.search(SHOP, "uploading a large file fails"))[0] == LESSONS[2][1]
    lessons.record_lesson(SHOP, "x", "Recorded all the same", "")
    assert "Recorded all the same" in lessons.get_lessons_for_prompt(SHOP)


def test_without_pgvector_lessons_are_found_by_their_words(scene: Any, lessons: LessonsProvider) -> None:
    _drop_vectors(scene)
    assert not scene.store.lessons.has_vectors()
    assert _titles(lessons.search(SHOP, "uploading a large file fails"))[0] == LESSONS[2][1]
    lessons.record_lesson(SHOP, "x", "Recorded all the same", "")
    assert lessons.refresh_vectors() == 0


def test_where_nothing_fits_the_newest_are_told(scene: Any, lessons: LessonsProvider) -> None:
    _drop_vectors(scene)
    assert _titles(lessons.search(SHOP, "qwertz", top_k=2)) == [LESSONS[3][1], LESSONS[2][1]]


def test_vectors_are_made_later_when_the_extension_comes(scene: Any, lessons: LessonsProvider) -> None:
    _drop_vectors(scene)
    with scene.store.units.begin() as tx:
        assert make_vectors(tx.connection)
        assert not make_vectors(tx.connection)
    assert lessons.refresh_vectors() == len(LESSONS)
    assert lessons.refresh_vectors() == 0


def test_only_vectors_of_the_present_embedder_are_compared(scene: Any, lessons: LessonsProvider) -> None:
    other = HashingEmbedder(64)
    assert scene.store.lessons.by_vector(SHOP, other.embed(["proxy"])[0], other.name) == []
    lessons.set_embedder(other)
    assert lessons.refresh_vectors() == len(LESSONS)
    assert len(scene.store.lessons.by_vector(SHOP, other.embed(["proxy"])[0], other.name)) == len(LESSONS)


def test_housekeeping_goes_on_when_the_embedder_is_down_and_asks_it_once(lessons: LessonsProvider) -> None:
    broken = Broken(RuntimeError("down"))
    lessons.set_embedder(broken)
    assert lessons.refresh_vectors() == 0
    assert broken.calls == 1


def test_an_embedder_that_cannot_be_had_costs_no_lesson(scene: Any) -> None:
    provider = LessonsProvider(scene.store, LessonSettings(embedder="no_such_module_here:embed"))
    provider.record_lesson(SHOP, "x", "Recorded all the same", "")
    assert _titles(provider.search(SHOP, "recorded")) == ["Recorded all the same"]
    assert provider.refresh_vectors() == 0


def test_the_same_lesson_again_is_only_learned_again(scene: Any, lessons: LessonsProvider) -> None:
    first = scene.store.lessons.newest(SHOP)[-1]
    again = lessons.record_lesson(SHOP, "Services", " start the services  before the TESTS", first.detail.upper())
    assert (again.id, again.title, again.created_at) == (first.id, first.title, first.created_at)
    assert again.confirmed_at > first.confirmed_at
    assert scene.store.lessons.newest(SHOP)[0] == again
    assert len(scene.events("lesson.recorded")) == len(LESSONS)


def test_a_forgotten_lesson_is_told_to_nobody_and_stays_so(scene: Any, lessons: LessonsProvider) -> None:
    records, (category, title, detail) = scene.store.lessons, LESSONS[2]
    (found,) = (one for one in records.newest(SHOP) if one.title == title)
    assert (records.forget(found.id), records.forget(found.id)) == (True, False)
    lessons.record_lesson(SHOP, category, title, detail)
    assert title not in _titles(lessons.search(SHOP, "uploading a large file fails"))
    assert title not in lessons.get_lessons_for_prompt(SHOP)
    assert title in [one.title for one in records.newest(SHOP, forgotten=True)]
    lessons.record_lesson(SHOP, category, title, detail, revive=True)
    assert title in _titles(lessons.search(SHOP, "uploading a large file fails"))


def test_an_unknown_project_or_lesson_is_named(scene: Any) -> None:
    with pytest.raises(NotFoundError, match="no project 'nowhere'"):
        scene.store.lessons.record(ProjectId("nowhere"), drafted("x", "y", "z"))
    with pytest.raises(NotFoundError, match="no lesson '77'"):
        scene.store.lessons.forget(LessonId(77))


def test_lessons_of_other_projects_are_not_found(scene: Any, lessons: LessonsProvider) -> None:
    scene.store.projects.add(ProjectId("other"), scene.project.path / "other", "other")
    assert lessons.search("other", "uploading a large file fails") == []


@pytest.mark.parametrize("question", ["", "\0", "' | & ! \\ :* <->", "🦊", "x" * 50_000, "a\n" * 3_000, "\ud800"])
def test_any_question_can_be_asked(lessons: LessonsProvider, question: str) -> None:
    assert 1 <= len(lessons.search(SHOP, question, top_k=3)) <= 3


def test_a_failure_that_a_later_run_overcame_is_a_lesson(scene: Any) -> None:
    key, worker = scene.bead(title="Upload in parts"), scene.worker()
    error = "tests\nE  ConnectionError: proxy closed /tmp/pytest-17/x after 61.3 s"
    scene.work(key, worker, Failed(cause="tests", summary=error))
    scene.clock.advance(timedelta(minutes=10))
    scene.store.swarm.heartbeat(worker)
    assert scene.store.lessons.newest(SHOP) == []
    settled = scene.work(key, worker, Completed(summary="Sent parts of 5 MB.", nothing_to_do=True))
    (lesson,) = scene.store.lessons.newest(SHOP)
    assert settled.effect.overcame
    assert (lesson.category, lesson.bead_id, lesson.run_id) == ("overcome", key.bead_id, settled.run.id)
    assert "/tmp/" not in f"{lesson.title}{lesson.detail}"
    assert "What worked then:\nSent parts of 5 MB." in lesson.detail


def test_a_success_at_once_is_no_lesson(scene: Any) -> None:
    settled = scene.work(scene.bead(), scene.worker(), Completed(nothing_to_do=True))
    assert not settled.effect.overcame
    assert scene.store.lessons.newest(SHOP) == []


def test_a_run_is_told_what_fits_and_it_is_kept_what_it_was(scene: Any) -> None:
    key, worker = scene.bead(title="Uploads of large files fail", description="Since the proxy."), scene.worker()
    plain = scene.start(scene.claimed(key), worker)
    assert not plain.has_lessons
    assert scene.report(plain, Failed(cause="x"))
    scene.settle(plain.run.id)
    provider = LessonsProvider(scene.store, LessonSettings(top_k=1))
    for category, title, detail in LESSONS:
        provider.record_lesson(SHOP, category, title, detail)
    scene.clock.advance(timedelta(minutes=10))
    scene.store.swarm.heartbeat(worker)
    started = scene.start(scene.claimed(key), worker)
    assert started.has_lessons
    assert provider.tell(started.run.id, started.bead, started.errors).startswith("- **The proxy ends uploads")
    told = scene.store.lessons.told([plain.run.id, started.run.id])
    assert {run: [one.title for one in given] for run, given in told.items()} == {started.run.id: [LESSONS[2][1]]}
