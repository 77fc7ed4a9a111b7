"""Lessons of a run: what it is told at its start, and what its agent tells."""

import subprocess
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from dispatch.learning import LessonsProvider
from dispatch.models.identity import ProjectId
from dispatch.models.messages import AGENT_EVENT, LessonEvent, ProgressEvent
from dispatch.models.outcome import Completed, Failed
from dispatch.settings import LessonSettings
from workers.execution import RunExecutor
from workers.lessons import MOST_LESSONS, LessonTaker, tell_lessons
from workers.registry import RunnerRegistry

SHOP = ProjectId("shop")


@pytest.fixture
def provider(scene: Any) -> LessonsProvider:
    return LessonsProvider(scene.store, LessonSettings())


@pytest.fixture
def started(scene: Any) -> Any:
    """Given a run that has started."""
    worker = scene.worker()
    return scene.start(scene.claimed(scene.bead(title="Uploads fail")), worker)


def test_what_an_agent_learned_is_kept_with_its_run(scene: Any, provider: LessonsProvider, started: Any) -> None:
    taker = LessonTaker(provider, started)
    taker.add(ProgressEvent(message="working"))
    taker.add(
        AGENT_EVENT.validate_json('{"type": "lesson", "category": "network", "title": "The proxy is slow", "new": 1}')
    )
    (lesson,) = scene.store.lessons.newest(SHOP)
    assert (lesson.title, lesson.category, lesson.bead_id) == ("The proxy is slow", "network", "shop-1")
    assert (lesson.run_id, lesson.agent_id) == (started.run.id, started.run.agent_name)


def test_a_run_keeps_ten_lessons_and_one_that_says_nothing_is_none(
    scene: Any, provider: LessonsProvider, started: Any
) -> None:
    taker = LessonTaker(provider, started)
    for number in range(MOST_LESSONS + 5):
        taker.add(LessonEvent(title="" if number == 3 else f"Lesson {number}"))
    titles = {lesson.title for lesson in scene.store.lessons.newest(SHOP)}
    assert titles == {f"Lesson {number}" for number in range(MOST_LESSONS) if number != 3}


class Away:
    """A provider whose database is away until it is back."""

    def __init__(self, provider: LessonsProvider) -> None:
        self.provider = provider
        self.is_away = True

    def record_lesson(self, *arguments: Any, **named: Any) -> Any:
        if self.is_away:
            raise OperationalError("INSERT", {}, Exception("the server is starting up"))
        return self.provider.record_lesson(*arguments, **named)


def test_while_the_database_is_away_lessons_wait(scene: Any, provider: LessonsProvider, started: Any) -> None:
    away = Away(provider)
    taker = LessonTaker(away, started)  # type: ignore[arg-type]
    for number in range(2):
        taker.add(LessonEvent(title=f"Lesson {number}"))
    assert scene.store.lessons.newest(SHOP) == []
    away.is_away = False
    taker.flush()
    taker.flush()
    assert len(scene.store.lessons.newest(SHOP)) == 2
    assert len(scene.events("lesson.recorded")) == 2


def test_the_next_run_is_told_and_a_project_without_lessons_asks_nothing(scene: Any, provider: LessonsProvider) -> None:
    key, worker = scene.bead(title="Uploads fail"), scene.worker()
    first = scene.start(scene.claimed(key), worker)
    assert tell_lessons(None, first) is first  # type: ignore[arg-type]
    LessonTaker(provider, first).add(LessonEvent(title="Uploads go in parts", detail="Of 5 MB."))
    assert scene.report(first, Failed(cause="x"))
    scene.settle(first.run.id)
    scene.clock.advance(timedelta(minutes=10))
    scene.store.swarm.heartbeat(worker)
    second = tell_lessons(provider, scene.start(scene.claimed(key), worker))
    assert second.lessons == "- **Uploads go in parts** (general):\n  Of 5 MB."
    assert [one.title for one in scene.store.lessons.told([second.run.id])[second.run.id]] == ["Uploads go in parts"]
    assert scene.report(second, Completed(nothing_to_do=True))


def test_a_search_that_breaks_fails_no_run(scene: Any, provider: LessonsProvider, started: Any) -> None:
    provider.record_lesson(SHOP, "x", "Something", "")
    scene.store.engine.dispose()
    with scene.store.units.begin() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE run_lessons RENAME TO gone")
    assert provider.tell(started.run.id, started.bead) == ""


def test_a_real_agent_tells_a_lesson_and_another_reads_it(shop: Any) -> None:
    says = "say(type='lesson', title='Uploads go in parts', detail='Of 5 MB.', category='network')"
    writes = (
        "pathlib.Path('told.txt').write_text(json.loads(open(os.environ['DISPATCH_ASSIGNMENT']).read())['lessons'])"
    )
    _executed(shop, "first", says)
    run = _executed(shop, "second", f"import os, json; {writes}")
    ((lesson,),) = shop.system.store.lessons.told([run.id]).values()
    assert (lesson.title, lesson.bead_id) == ("Uploads go in parts", "first")
    told = subprocess.run(
        ["git", "show", f"{run.commit_sha}:told.txt"], cwd=shop.repository, check=True, capture_output=True, text=True
    )
    assert told.stdout == "- **Uploads go in parts** (network):\n  Of 5 MB."


def _executed(shop: Any, bead_id: str, does: str) -> Any:
    executor = RunExecutor(
        shop.system,
        RunnerRegistry(shop.system.settings),
        incarnation_id=lambda: shop.worker,
        stopping=lambda: False,
    )
    return shop.run(executor.execute(shop.order(shop.add(bead_id, does), timeout=timedelta(seconds=60))))
