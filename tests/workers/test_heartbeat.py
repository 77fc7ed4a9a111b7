"""A run's heartbeat: keeps its lease, passes on what it is asked, and notices when the run is not its own any more."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dispatch.models.identity import RunId, uuid7
from dispatch.models.states import StopReason
from dispatch.store.running import Renewal
from workers.heartbeat import RunHeartbeat
from workers.runners import RunControl

PATIENCE = 20.0


class Watcher:
    """Stands where a runner would: counts pulses, and is told when the agent is to be killed."""

    def __init__(self) -> None:
        self.pulses = 0
        self.killed = threading.Event()
        self.woken = threading.Event()
        self.pulsed_twice = threading.Event()

    def pulse(self) -> None:
        self.pulses += 1
        if self.pulses > 1:
            self.pulsed_twice.set()

    def kill(self) -> None:
        self.killed.set()

    def wake(self) -> None:
        self.woken.set()


class Answers:
    """Answers renewals one after the other; the last answer holds."""

    def __init__(self, *answers: Renewal | Exception | None) -> None:
        self._answers = list(answers)

    def renew(self, *_: object) -> Renewal | None:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def beating(
    records: Any,
    control: RunControl,
    *,
    interval: float = 0.02,
    stopping: bool = False,
    called: bool = False,
    each_beat: Callable[[], None] = lambda: None,
) -> RunHeartbeat:
    return RunHeartbeat(
        records,
        RunId(uuid7()),
        uuid4(),
        control,
        interval=interval,
        stopping=lambda: stopping,
        was_called=lambda: called,
        each_look=lambda: None,
        each_beat=each_beat,
    )


@pytest.fixture
def control() -> RunControl:
    return RunControl()


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def test_what_lasts_is_looked_at_before_the_first_renewal_is_due(control: RunControl) -> None:
    looked = threading.Event()
    renewals: list[object] = []
    heartbeat = RunHeartbeat(
        Answers(Renewal(stop_reason=None)),
        RunId(uuid7()),
        uuid4(),
        control,
        interval=3600,
        stopping=lambda: False,
        was_called=lambda: False,
        each_look=looked.set,
        each_beat=lambda: renewals.append(1),
    )
    heartbeat.start()
    try:
        assert looked.wait(PATIENCE)
    finally:
        heartbeat.end()
    assert renewals == []


def test_it_lengthens_the_lease_in_the_database_and_ends_with_the_run(shop: Any, control: RunControl) -> None:
    started = shop.started(shop.add("a"))
    heartbeat = RunHeartbeat(
        shop.store.running,
        started.run.id,
        started.token,
        control,
        interval=0.05,
        stopping=lambda: False,
        was_called=lambda: False,
        each_look=lambda: None,
        each_beat=lambda: None,
    )
    heartbeat.start()
    deadline = time.monotonic() + PATIENCE
    while shop.run(started.run.id).lease_until - started.run.lease_until < timedelta(seconds=0.1):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    heartbeat.end()
    last = shop.run(started.run.id).lease_until
    heartbeat.look()
    assert shop.run(started.run.id).lease_until == last
    assert not control.abandoned


def test_one_thread_serves_runs_that_follow_each_other_and_ends_when_there_are_none(control: RunControl) -> None:
    renewed, own_rhythm = Renewal(stop_reason=None), 0.03
    first, second, third = (beating(Answers(renewed), control, interval=own_rhythm) for _ in range(3))
    before = heartbeats()
    first.start()
    second.start()
    used = heartbeats() - before
    assert len(used) == 2
    first.end()
    third.start()
    assert heartbeats() - before == used
    second.end()
    third.end()
    for thread in used:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def heartbeats() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "heartbeat"}


def test_its_end_waits_for_a_renewal_that_is_under_way(control: RunControl, watcher: Watcher) -> None:
    """What that says comes too late to mean anything: the outcome may have taken the token with it."""
    under_way, may_go_on = threading.Event(), threading.Event()

    class Slow:
        def renew(self, *_: object) -> None:
            under_way.set()
            assert may_go_on.wait(PATIENCE)

    heartbeat = beating(Slow(), control)
    with control.attached(watcher):
        heartbeat.start()
        assert under_way.wait(PATIENCE)
        ending = threading.Thread(target=heartbeat.end)
        ending.start()
        deadline = time.monotonic() + PATIENCE
        while not heartbeat._ended:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert ending.is_alive()
        may_go_on.set()
        ending.join(PATIENCE)
    assert not ending.is_alive()
    assert not watcher.killed.is_set()


def test_each_renewal_feeds_the_guard_even_when_something_else_cannot_be_written(
    control: RunControl, watcher: Watcher
) -> None:
    def fail() -> None:
        raise RuntimeError("nothing to do with the lease")

    heartbeat = beating(Answers(Renewal(stop_reason=None)), control, each_beat=fail)
    with control.attached(watcher):
        heartbeat.start()
        assert watcher.pulsed_twice.wait(PATIENCE)
        heartbeat.end()
    assert not watcher.killed.is_set()


def test_a_database_that_is_away_is_tried_again(
    control: RunControl, watcher: Watcher, away: Callable[[], Exception]
) -> None:
    heartbeat = beating(Answers(away(), away(), Renewal(stop_reason=None)), control)
    with control.attached(watcher):
        heartbeat.start()
        assert watcher.pulsed_twice.wait(PATIENCE)
        heartbeat.end()
    assert not control.abandoned


def test_a_renewal_that_changes_nothing_ends_the_agent_at_once(control: RunControl, watcher: Watcher) -> None:
    heartbeat = beating(Answers(Renewal(stop_reason=None), None), control)
    with control.attached(watcher):
        heartbeat.start()
        assert watcher.killed.wait(PATIENCE)
    heartbeat.end()
    assert control.abandoned


def test_what_the_answer_asks_for_is_passed_on(control: RunControl, watcher: Watcher) -> None:
    heartbeat = beating(Answers(Renewal(stop_reason=StopReason.CANCEL)), control)
    with control.attached(watcher):
        heartbeat.start()
        assert watcher.woken.wait(PATIENCE)
        heartbeat.end()
    assert control.stop_reason is StopReason.CANCEL


def test_a_worker_that_ends_hands_back_without_asking_the_database(
    control: RunControl, watcher: Watcher, away: Callable[[], Exception]
) -> None:
    heartbeat = beating(Answers(away()), control, stopping=True)
    with control.attached(watcher):
        heartbeat.start()
        assert watcher.woken.wait(PATIENCE)
        heartbeat.end()
    assert control.stop_reason is StopReason.HANDBACK


def test_a_call_makes_a_renewal_due_long_before_the_next_one(control: RunControl, watcher: Watcher) -> None:
    heartbeat = beating(Answers(Renewal(stop_reason=StopReason.CANCEL)), control, interval=3600, called=True)
    with control.attached(watcher):
        heartbeat.start()
        assert watcher.woken.wait(PATIENCE)
        heartbeat.end()
    assert control.stop_reason is StopReason.CANCEL
