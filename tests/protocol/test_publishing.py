"""What is published, and when: after the commit, never in a transaction, and again when it was lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.models.landing import Landed
from dispatch.models.outcome import Completed
from dispatch.results import ResultHandler
from dispatch.store import StartedRun

SHA = "c" * 40


class WatchedBus:
    """The recording bus; each time that something is published, something is done first."""

    def __init__(self, bus: Any, first: Callable[[str], object]) -> None:
        self._bus, self._first = bus, first

    def __getattr__(self, name: str) -> Any:
        publish = getattr(self._bus, name)

        def watched(*arguments: Any) -> None:
            self._first(name)
            publish(*arguments)

        return watched if name.startswith("publish") else publish


def deployment(scene: Any, bus: Any) -> tuple[Tick, ResultHandler]:
    results = ResultHandler(scene.store, bus, scene.settings)
    dispatcher = Dispatcher(scene.store, bus, scene.settings)
    return Tick(scene.store, dispatcher, bus, scene.settings, sweep=results.sweep), results


def test_nothing_is_published_while_a_transaction_is_open(scene: Any, bus: Any) -> None:
    seen: dict[str, int] = {}

    def look(name: str) -> None:
        seen[name] = seen.get(name, 0) + scene.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND state <> 'idle'"
        )

    tick, results = deployment(scene, WatchedBus(bus, look))
    worker = scene.worker(agents=4)
    one, three = scene.bead("shop-1"), scene.bead("shop-3")
    handover = scene.claim(three, scene.agents_of(worker)[:3])
    scene.clock.advance(timedelta(seconds=5))
    report = tick.run()
    assert (report.dispatched, report.republished) == (1, 3)
    dispatcher = Dispatcher(scene.store, WatchedBus(bus, look), scene.settings)
    assert dispatcher.hand_over([handover]) == 1
    (run,) = scene.store.reading.runs(bead=one)
    scene.report(scene.start(run.id, worker), Completed(), SHA)
    results.settle(run.id)
    scene.clock.advance(timedelta(seconds=30))
    tick.run()
    results.landed(scene.read(one), Landed(sha=SHA, previous_sha="a" * 40))
    assert seen == dict.fromkeys(("publish_task", "publish_step", "publish_landing", "publish_nudge"), 0)


def test_a_run_can_be_started_the_moment_it_is_published(scene: Any, bus: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    answers: list[Any] = []

    def start(_: str) -> None:
        (run,) = scene.store.reading.runs(bead=key)
        answers.append(scene.store.running.start(run.id, worker))

    tick, _ = deployment(scene, WatchedBus(bus, start))
    tick.run()
    assert isinstance(answers[0], StartedRun), answers


@pytest.mark.parametrize("lost", [True, False])
def test_a_nudge_that_comes_when_the_tick_has_looked_already_is_heard_by_it(scene: Any, bus: Any, lost: bool) -> None:
    """The bead comes after the tick chose and before it ends, and the message of the nudge is lost on its way."""
    scene.worker(agents=2)
    scene.bead("shop-1")
    late: list[Any] = []

    def add(_: str) -> None:
        if not late:
            late.append(scene.bead("shop-2"))
            bus.away = lost
            results.nudge()
            bus.away = False

    _, results = deployment(scene, bus)
    tick, _ = deployment(scene, WatchedBus(bus, add))
    assert tick.run().dispatched == 2
    assert [task.bead_id for task in bus.tasks] == ["shop-1", "shop-2"]
    assert bus.nudges == (0 if lost else 1)


def test_what_a_settle_makes_possible_is_dispatched_by_the_round_that_is_under_way(scene: Any, bus: Any) -> None:
    """The settler finds the round under way when it would dispatch, after that has looked and before it ends."""
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead("shop-1")), worker)
    scene.bead("shop-2", waits_for=("shop-1",))
    scene.report(started, Completed(nothing_to_do=True))
    tick, _ = deployment(scene, bus)
    results = ResultHandler(scene.store, bus, scene.settings, go_on=tick.go_on)

    class Slow(Dispatcher):
        def _decide(self, *arguments: Any) -> Any:
            plan = super()._decide(*arguments)
            results.settle(started.run.id)
            return plan

    slow = Tick(scene.store, Slow(scene.store, bus, scene.settings), bus, scene.settings, sweep=lambda _: None)
    assert slow.run().dispatched == 1
    assert [task.bead_id for task in bus.tasks] == ["shop-2"]
