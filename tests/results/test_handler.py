"""The result handler: every call may come twice, late, or for something unknown."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from dispatch.errors import NotFoundError
from dispatch.models.identity import BeadKey, RunId, uuid7
from dispatch.models.landing import Landed
from dispatch.models.messages import ResultMessage
from dispatch.models.outcome import Completed, Failed
from dispatch.models.states import BeadEvent, RunState
from dispatch.results import ResultHandler
from dispatch.results.handler import MOST_LEFT

SHA = "c" * 40


@pytest.fixture
def results(scene: Any, bus: Any) -> ResultHandler:
    return ResultHandler(scene.store, bus, scene.settings)


def _running(scene: Any) -> Any:
    worker = scene.worker()
    return scene.start(scene.claimed(scene.bead()), worker)


def _message(started: Any, **rest: Any) -> ResultMessage:
    return ResultMessage(
        run_id=started.run.id, **{"token": started.token, "outcome": Completed(nothing_to_do=True), **rest}
    )


def test_a_result_is_written_and_settled_in_one_call(scene: Any, results: ResultHandler) -> None:
    started = _running(scene)
    task = results.handle_result(_message(started))
    assert task is not None
    assert (task.correlation_id, task.bead_id) == (started.run.id, "shop-1")
    assert scene.read(started.run.bead_key).status == "closed"
    assert results.handle_result(_message(started)) is None, "it was handled already"


def test_a_late_or_unknown_result_is_nothing(scene: Any, results: ResultHandler) -> None:
    started = _running(scene)
    assert results.handle_result(_message(started, token=uuid4())) is None
    assert results.handle_result(_message(started, token=None)) is None
    assert results.handle_result(ResultMessage(run_id=uuid4(), outcome=Completed())) is None
    assert scene.run(started.run.id).state is RunState.RUNNING


def test_pending_tasks_are_those_of_open_runs(scene: Any, results: ResultHandler) -> None:
    assert (results.get_pending(), results.pending_count()) == ([], 0)
    started = _running(scene)
    assert [task.correlation_id for task in results.get_pending()] == [started.run.id]
    assert results.pending_count() == 1


def test_tracking_tells_whether_the_callers_picture_is_right(scene: Any, results: ResultHandler) -> None:
    run = _running(scene).run
    facts = (run.project_id, run.bead_id, run.agent_id, run.role)
    assert results.track(run.id, *facts) == results.get_pending()[0]
    with pytest.raises(NotFoundError):
        results.track(RunId(uuid7()), *facts)
    with pytest.raises(NotFoundError):
        results.track(run.id, run.project_id, run.bead_id, run.agent_id, "qa")


def test_a_settle_asks_for_a_tick_and_for_the_landing(scene: Any, bus: Any, results: ResultHandler) -> None:
    started = _running(scene)
    scene.report(started, Completed(), SHA)
    assert results.settle(started.run.id).effect.event is BeadEvent.AWAIT_LANDING
    assert (bus.landings, bus.nudges) == (["shop"], 1)
    assert results.settle(started.run.id) is None
    assert (bus.landings, bus.nudges) == (["shop"], 1)


def test_a_broker_that_is_away_does_not_undo_or_hide_a_settle(scene: Any, bus: Any, results: ResultHandler) -> None:
    started = _running(scene)
    scene.report(started, Completed(), SHA)
    bus.away = True
    assert results.try_settle(started.run.id).effect.event is BeadEvent.AWAIT_LANDING
    assert scene.read(started.run.bead_key).status == "landing"
    assert scene.events("run.settle_failed") == []


def test_nudges_are_published_one_at_a_time(bus: Any, results: ResultHandler) -> None:
    for _ in range(5):
        results.nudge()
    assert bus.nudges == 1


def test_a_landing_is_applied_and_asks_for_a_tick(scene: Any, bus: Any, results: ResultHandler) -> None:
    started = _running(scene)
    scene.report(started, Completed(), SHA)
    results.settle(started.run.id)
    waiting = scene.bead("shop-2", waits_for=("shop-1",))
    bus.nudges = 0
    scene.clock.advance(timedelta(seconds=4))
    effect = results.landed(scene.read(started.run.bead_key), Landed(sha=SHA, previous_sha="a" * 40))
    assert effect.event is BeadEvent.LAND
    assert scene.read(started.run.bead_key).status == "closed"
    assert not scene.read(waiting).blocked
    assert bus.nudges == 1


# Sweep


def test_a_sweep_settles_what_waited_and_joins_what_nobody_joined(scene: Any, results: ResultHandler) -> None:
    worker = scene.worker(agents=3)
    one, two = scene.bead("shop-1"), scene.bead("shop-2")
    waited = scene.start(scene.claimed(one), worker)
    scene.report(waited, Completed(nothing_to_do=True))
    handover = scene.claim(two, [agent for agent in scene.agents_of(worker) if agent.state == "idle"])
    half = scene.start(handover.run_ids[0], worker)
    scene.report(half, Failed(cause="tests"))
    results.settle(half.run.id)
    scene.store.projects.set_paused(two.project_id, True)
    scene.store.rescue.withdraw_unstartable(max_publishes=3, backoff=timedelta(minutes=1), lease=timedelta(seconds=45))
    scene.clock.advance(timedelta(seconds=5))
    assert results.sweep() == [waited.run.id]
    assert (scene.read(one).status, scene.read(two).status) == ("closed", "open")
    assert results.sweep() == []


def test_a_sweep_settles_at_once_what_it_is_given(scene: Any, results: ResultHandler) -> None:
    started = _running(scene)
    scene.report(started, Completed(nothing_to_do=True))
    assert results.sweep() == []
    assert results.sweep([started.run.id, started.run.id]) == [started.run.id]


def _break_settling(scene: Any) -> None:
    """Let every settle fail inside its transaction, as a fault of ours would."""
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("ALTER TABLE steps ADD CONSTRAINT broken CHECK (state = 'open') NOT VALID"))


def _mend_settling(scene: Any) -> None:
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("ALTER TABLE steps DROP CONSTRAINT broken"))


def test_the_fifth_settle_that_fails_blocks_the_bead_behind_a_decision(scene: Any, results: ResultHandler) -> None:
    started = _running(scene)
    key = started.run.bead_key
    scene.report(started, Completed(nothing_to_do=True))
    _break_settling(scene)
    for number in range(1, 6):
        scene.clock.advance(timedelta(seconds=5))
        assert results.sweep() == []
        assert scene.run(started.run.id).settle_failures == number
        assert scene.read(key).blocked is (number == 5)
    run, bead = scene.run(started.run.id), scene.read(key)
    assert (run.state, run.agent_id, bead.status) == (RunState.REPORTED, None, "in_progress")
    (blocker,) = scene.store.reading.blockers(key)
    decision = scene.read(BeadKey(key.project_id, blocker.id))
    assert decision.title == "Mend shop-1: its result cannot be settled"
    assert str(run.id) in decision.description
    assert "broken" in decision.description
    scene.clock.advance(timedelta(hours=1))
    results.sweep()
    assert scene.run(run.id).settle_failures == 5, "it waits for the decision"


def test_a_bead_goes_on_when_the_decision_about_its_broken_settle_is_made(scene: Any, results: ResultHandler) -> None:
    started = _running(scene)
    key = started.run.bead_key
    scene.report(started, Completed(nothing_to_do=True))
    _break_settling(scene)
    for _ in range(5):
        scene.clock.advance(timedelta(seconds=5))
        results.sweep()
    scene.clock.advance(timedelta(hours=1))
    (first,) = scene.store.reading.blockers(key)
    scene.store.edits.close(BeadKey(key.project_id, first.id), "Try again.")
    results.sweep()
    (second,) = scene.store.reading.blockers(key)
    assert second.id != first.id, "it failed again, and asks again"
    _mend_settling(scene)
    scene.clock.advance(timedelta(hours=1))
    scene.store.edits.close(BeadKey(key.project_id, second.id), "Mended.")
    assert results.sweep() == [started.run.id]
    assert scene.read(key).status == "closed"


def test_a_broken_settle_of_a_bead_that_was_closed_asks_nobody(scene: Any, results: ResultHandler) -> None:
    started = _running(scene)
    scene.report(started, Completed(nothing_to_do=True))
    scene.store.edits.close(started.run.bead_key, "")
    _break_settling(scene)
    for _ in range(8):
        scene.clock.advance(timedelta(hours=8))
        results.sweep()
    assert scene.run(started.run.id).settle_failures == 8
    assert scene.store.imports.ids(started.run.project_id) == ["shop-1"]


def test_one_run_that_cannot_be_settled_keeps_no_other_waiting(scene: Any, results: ResultHandler) -> None:
    worker = scene.worker(agents=2)
    runs = [scene.start(scene.claimed(scene.bead(name)), worker) for name in ("shop-1", "shop-2")]
    for started in runs:
        scene.report(started, Completed(nothing_to_do=True))
    with scene.store.units.begin() as tx:
        tx.connection.execute(
            text("ALTER TABLE beads ADD CONSTRAINT broken CHECK (id <> 'shop-1' OR status <> 'closed') NOT VALID")
        )
    scene.clock.advance(timedelta(seconds=5))
    assert results.sweep() == [runs[1].run.id]


def test_a_settle_that_fails_is_counted_and_still_raises_for_its_caller(scene: Any, results: ResultHandler) -> None:
    started = _running(scene)
    scene.report(started, Completed(nothing_to_do=True))
    _break_settling(scene)
    with pytest.raises(Exception, match="broken"):
        results.try_settle(started.run.id)
    (event,) = scene.events("run.settle_failed")
    assert event.data["failures"] == 1
    assert event.bead_id == "shop-1"


def test_while_others_wait_to_be_settled_dispatching_is_left_to_them_a_few_times_in_a_row(scene: Any, bus: Any) -> None:
    rounds: list[int] = []
    results = ResultHandler(scene.store, bus, scene.settings, go_on=lambda: rounds.append(len(rounds)))
    count = 2 * MOST_LEFT
    worker = scene.worker(agents=count)
    reported = []
    for number in range(count):
        started = scene.start(scene.claimed(scene.bead(f"shop-{number}")), worker)
        scene.report(started, Completed(nothing_to_do=True))
        reported.append(started.run.id)
    seen = []
    for run_id in reported:
        results.settle(run_id)
        seen.append(len(rounds))
    assert seen == [0] * MOST_LEFT + [1] * (MOST_LEFT - 1) + [2], "the last one has nobody to leave it to"


def test_a_run_that_cannot_be_settled_is_nobody_to_leave_the_dispatching_to(scene: Any, bus: Any) -> None:
    rounds: list[None] = []
    results = ResultHandler(scene.store, bus, scene.settings, go_on=lambda: rounds.append(None))
    worker = scene.worker(agents=2)
    broken, sound = (scene.start(scene.claimed(scene.bead(f"shop-{number}")), worker) for number in (1, 2))
    for started in (broken, sound):
        scene.report(started, Completed(nothing_to_do=True))
    scene.store.settling.note_failed_settle(broken.run.id, "It raises.", max_failures=5)
    results.settle(sound.run.id)
    assert rounds == [None]
