"""Who writes a project's graph or a status takes the project's lock first, and nothing before it (PROTOCOL, rule 4)."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.bead import Dependency
from dispatch.models.decision import Option, Ruling
from dispatch.models.identity import BeadId, BeadKey
from dispatch.models.landing import Landed
from dispatch.models.outcome import Completed, Failed
from dispatch.models.settling import Escalation
from dispatch.results import judge, judge_landing

PATIENCE = 20.0
SHA = "c" * 40


def _waiting(scene: Any) -> int:
    """How many transactions wait for an advisory lock of this database."""
    return int(
        scene.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


@contextmanager
def held(scene: Any) -> Iterator[Any]:
    """Hold the lock of the project `shop`."""
    with scene.store.units.begin() as tx:
        assert tx.lock_project(scene.project.id)
        yield tx


_COMMIT_LOCK = 7
_PAUSE_AT_COMMIT = f"""
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_advisory_xact_lock_shared({_COMMIT_LOCK}); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER pause AFTER UPDATE ON beads DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION pause();
"""


@contextmanager
def commits_held(scene: Any) -> Iterator[None]:
    """Keep every transaction that changes a bead from its commit, with all its statements done."""
    with scene.store.engine.begin() as connection:
        connection.execute(text(_PAUSE_AT_COMMIT))
    with scene.store.engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_COMMIT_LOCK})"))
        yield


@dataclass
class Call:
    """A function that is called in a thread of its own."""

    function: Callable[[], Any]
    answers: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=lambda: self.answers.append(self.function()))
        self._thread.start()

    def result(self) -> Any:
        self._thread.join(PATIENCE)
        assert self.answers, "it did not end"
        return self.answers[0]


def _reported(scene: Any, *, agents: int = 1) -> Any:
    worker = scene.worker(agents=agents)
    handover = scene.claim(scene.bead(), scene.agents_of(worker))
    started = [scene.start(run_id, worker) for run_id in handover.run_ids]
    for each in started:
        scene.report(each, Failed(cause="tests"))
    return started[0]


def _import(scene: Any) -> Callable[[], Any]:
    return lambda: scene.bead("shop-9", waits_for=("shop-1",))


def _add(scene: Any) -> Callable[[], Any]:
    scene.bead()
    record = scene.record("shop-9", waits_for=("shop-1",))
    edge = Dependency(issue_id=BeadId("shop-1"), depends_on_id=BeadId("shop-9"), type="related")
    return lambda: scene.store.edits.add(scene.project.id, record, [(edge, {})], lambda _: None)


def _close(scene: Any) -> Callable[[], Any]:
    started = _reported(scene)
    return lambda: scene.store.edits.close(started.run.bead_key, "")


def _adopt(scene: Any) -> Callable[[], Any]:
    key = scene.bead(status="in_progress")
    return lambda: scene.store.edits.adopt(key)


def _claim(scene: Any) -> Callable[[], Any]:
    scene.worker()
    key = scene.bead()
    return lambda: scene.claim(key)


def _settle(scene: Any) -> Callable[[], Any]:
    started = _reported(scene)
    return lambda: scene.settle(started.run.id)


def _join(scene: Any) -> Callable[[], Any]:
    started = _reported(scene)
    scene.value("UPDATE runs SET state = 'settled' RETURNING id")
    return lambda: scene.store.settling.join(started.run.step_id, lambda joined: judge(joined, scene.settings))


def _finish_landing(scene: Any) -> Callable[[], Any]:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(), SHA)
    effect = judge_landing(scene.read(key), Landed(sha=SHA, previous_sha="a" * 40), scene.settings)
    return lambda: scene.store.settling.finish_landing(key, effect)


def _escalate(scene: Any) -> Callable[[], Any]:
    key = scene.bead()
    return lambda: scene.store.settling.escalate(key, Escalation(reason="r", title="T", body="B"))


def _decide(scene: Any) -> Callable[[], Any]:
    decision = scene.store.settling.escalate(scene.bead(), Escalation(reason="r", title="T", body="B"))
    return lambda: scene.store.decisions.decide(decision.key, Ruling(option=Option.CLOSE, by="ann"))


def _end_moot(scene: Any) -> Callable[[], Any]:
    scene.store.settling.escalate(scene.bead(), Escalation(reason="r", title="T", body="B"))
    scene.bead(status="closed", updated_at=scene.clock.at)
    end: Callable[[], Any] = scene.store.decisions.end_moot
    return end


def _withdraw(scene: Any) -> Callable[[], Any]:
    scene.worker()
    scene.claimed(scene.bead())
    scene.store.projects.set_paused(scene.project.id, True)
    minute, lease = timedelta(minutes=1), timedelta(seconds=45)
    return lambda: scene.store.rescue.withdraw_unstartable(max_publishes=3, backoff=minute, lease=lease)


WRITERS = [
    _import,
    _add,
    _close,
    _adopt,
    _claim,
    _settle,
    _join,
    _finish_landing,
    _escalate,
    _decide,
    _end_moot,
    _withdraw,
]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__.strip("_"))
def test_a_writer_waits_for_the_projects_lock_and_holds_no_row_meanwhile(scene: Any, writer: Any) -> None:
    write = writer(scene)
    with held(scene) as holder:
        call = Call(write)
        until(lambda: _waiting(scene) == 1 or bool(call.answers), "the writer to wait")
        assert call.answers == [], "it wrote though somebody else had the project"
        # A round keeps the idle agents that it looked at; nobody who has a project's lock asks for an idle one.
        for table in ("beads", "steps", "runs", *(() if writer is _claim else ("agents",))):
            holder.connection.execute(text(f"SELECT FROM {table} FOR UPDATE NOWAIT"))
    assert call.result() not in (None, False, []), "it did nothing when its turn came"


def test_two_closings_at_the_same_moment_release_the_bead_that_waits_for_both(scene: Any) -> None:
    """One is done but for its commit when the other comes; without the lock neither would see what the other did."""
    blockers = scene.bead("shop-1"), scene.bead("shop-2")
    waiting = scene.bead("shop-3", waits_for=("shop-1", "shop-2"))
    with commits_held(scene):
        calls = [Call(lambda key=key: scene.store.edits.close(key, "")) for key in blockers]
        until(lambda: _waiting(scene) == 2 or any(call.answers for call in calls), "both closings to wait")
    assert sorted(call.result() for call in calls) == [(), (waiting.bead_id,)]
    assert not scene.read(waiting).blocked


def test_two_settles_that_waited_for_one_lock_release_the_bead_that_waits_for_both(scene: Any) -> None:
    worker = scene.worker(agents=2)
    runs = [scene.start(scene.claimed(scene.bead(name)), worker) for name in ("shop-1", "shop-2")]
    waiting = scene.bead("shop-3", waits_for=("shop-1", "shop-2"))
    for started in runs:
        scene.report(started, Completed(nothing_to_do=True))
    with held(scene):
        calls = [Call(lambda run_id=started.run.id: scene.settle(run_id)) for started in runs]
        until(lambda: _waiting(scene) == 2 or any(call.answers for call in calls), "both settles to wait")
    assert sorted(call.result().released for call in calls) == [(), (waiting.bead_id,)]


def test_of_two_settles_of_one_run_that_waited_for_one_lock_one_counts(scene: Any) -> None:
    started = _reported(scene)
    with held(scene):
        calls = [Call(lambda: scene.settle(started.run.id)) for _ in range(2)]
        until(lambda: _waiting(scene) == 2 or any(call.answers for call in calls), "both settles to wait")
    assert sorted(call.result() is None for call in calls) == [False, True]
    assert len(scene.events("run.settled")) == 1


def test_a_start_that_waits_for_its_run_holds_no_agent(scene: Any) -> None:
    worker = scene.worker()
    run_id = scene.claimed(scene.bead())
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("SELECT FROM runs FOR UPDATE"))
        call = Call(lambda: scene.store.running.start(run_id, worker))
        until(lambda: bool(scene.value("SELECT count(*) FROM pg_locks WHERE NOT granted")), "the start to wait")
        tx.connection.execute(text("SELECT FROM agents FOR UPDATE NOWAIT"))
    assert call.result().run.id == run_id


def test_projects_do_not_wait_for_each_other(scene: Any, repository: Any) -> None:
    other = scene.store.projects.add("barn", repository, "barn")
    with held(scene):
        scene.bead("barn-1", project=other.id)
        assert scene.store.edits.close(BeadKey.of("barn", "barn-1"), "") == ()
