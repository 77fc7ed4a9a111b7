"""The tick: its passes in their order, once more while somebody asks, and out of the way of another one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.dispatcher.dispatcher import RoundReport
from dispatch.dispatcher.tick import MAX_ROUNDS
from dispatch.models.dispatching import Plan
from dispatch.models.identity import RunId
from dispatch.models.outcome import Completed, Lost
from dispatch.results import ResultHandler

SECOND = timedelta(seconds=1)


@pytest.fixture
def results(scene: Any, bus: Any) -> ResultHandler:
    return ResultHandler(scene.store, bus, scene.settings)


@pytest.fixture
def tick(scene: Any, bus: Any, results: ResultHandler) -> Tick:
    dispatcher = Dispatcher(scene.store, bus, scene.settings)
    return Tick(scene.store, dispatcher, bus, scene.settings, sweep=results.sweep)


def _arm(scene: Any, tick: Tick, *workers: Any) -> None:
    """Tick until the next one is armed."""
    for _ in range(9):
        assert not tick.run().busy
        scene.clock.advance(5 * SECOND)
        for worker in workers:
            scene.store.swarm.heartbeat(worker)


def test_a_tick_dispatches_what_is_ready(scene: Any, bus: Any, tick: Tick) -> None:
    scene.worker(agents=2)
    scene.bead("shop-1")
    scene.bead("shop-2")
    report = tick.run()
    assert (report.dispatched, report.republished, report.busy) == (2, 0, False)
    assert {task.bead_id for task in bus.tasks} == {"shop-1", "shop-2"}


def test_a_tick_leaves_the_field_to_another(scene: Any, tick: Tick) -> None:
    with scene.store.dispatching.round():
        assert tick.run().busy


def test_the_run_of_a_dead_worker_is_dispatched_again_by_the_tick_that_notices(
    scene: Any, bus: Any, tick: Tick
) -> None:
    dead, alive = scene.worker("dead@host"), scene.worker("alive@host", agents=0)
    key = scene.bead()
    tick.run()
    first = bus.tasks[0].run_id
    scene.start(first, dead)
    _arm(scene, tick, alive)
    other = scene.worker("other@host")
    report = tick.run()
    assert report.lost == (first,)
    assert isinstance(scene.run(first).outcome, Lost)
    assert report.dispatched == 1, "settled and dispatched by the same tick"
    assert bus.tasks[-1].attempt == 2
    assert [agent.state for agent in scene.agents_of(other)] == ["reserved"]
    assert (scene.read(key).hops, scene.read(key).failures) == (0, 0)


def test_a_tick_that_is_not_armed_ends_no_lease_and_buries_nobody(scene: Any, bus: Any, tick: Tick) -> None:
    worker = scene.worker()
    scene.bead()
    tick.run()
    scene.start(bus.tasks[0].run_id, worker)
    scene.clock.advance(timedelta(hours=1))
    report = tick.run()
    assert (report.armed, report.lost) == (False, ())
    assert scene.run(bus.tasks[0].run_id).state == "running"
    assert scene.agents_of(worker)[0].state == "working"


def test_a_tick_settles_what_a_lost_message_left(scene: Any, bus: Any, tick: Tick) -> None:
    worker = scene.worker()
    key = scene.bead()
    tick.run()
    started = scene.start(bus.tasks[0].run_id, worker)
    scene.report(started, Completed(nothing_to_do=True))
    tick.run()
    assert scene.read(key).status == "in_progress"
    scene.clock.advance(5 * SECOND)
    tick.run()
    assert scene.read(key).status == "closed"


def test_a_tick_publishes_again_what_the_bus_did_not_take(scene: Any, bus: Any, tick: Tick) -> None:
    scene.worker()
    scene.bead()
    bus.away = True
    assert tick.run().dispatched == 1
    scene.clock.advance(5 * SECOND)
    assert tick.run().republished == 0
    bus.away = False
    assert tick.run().republished == 1
    assert tick.run().republished == 0
    assert len(bus.tasks) == 1


def test_a_tick_withdraws_what_nobody_serves_and_says_which(scene: Any, bus: Any, tick: Tick) -> None:
    worker = scene.worker()
    key = scene.bead()
    tick.run()
    scene.store.swarm.leave(worker)
    report = tick.run()
    assert report.withdrawn == (bus.tasks[0].run_id,)
    assert scene.read(key).status == "open"


def test_a_tick_asks_again_for_landings_that_nobody_took(scene: Any, bus: Any, tick: Tick) -> None:
    worker = scene.worker()
    scene.work(scene.bead(), worker, Completed(), "c" * 40)
    tick.run()
    tick.run()
    assert bus.landings == ["shop"]
    scene.clock.advance(30 * SECOND)
    tick.run()
    assert bus.landings == ["shop", "shop"]


def test_a_landing_that_the_bus_does_not_take_keeps_nothing_from_being_dispatched(
    scene: Any, bus: Any, tick: Tick
) -> None:
    worker = scene.worker()
    scene.work(scene.bead("shop-1"), worker, Completed(), "c" * 40)
    scene.bead("shop-2")
    bus.away = True
    assert tick.run().dispatched == 1


class _Rescue:
    """Notes the passes of a tick, and asks for more of them."""

    def __init__(self, real: Any, more: int) -> None:
        self._real, self._more = real, more
        self.passes: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.passes.append(name)
            return getattr(self._real, name)(*arguments, **named)

        return call

    def somebody_asks(self) -> None:
        """Count a wish, as long as there is one more."""
        if self._more > 0:
            self._more -= 1
            self._real.count_wish()


class _Stores:
    def __init__(self, rescue: _Rescue) -> None:
        self.rescue = rescue


def _watched(scene: Any, bus: Any, more: int) -> tuple[Tick, _Rescue, list[str]]:
    rescue = _Rescue(scene.store.rescue, more)
    swept = rescue.passes

    def sweep(_: Sequence[RunId]) -> None:
        swept.append("sweep")

    class Watched(Dispatcher):
        def round(self, *arguments: Any, **named: Any) -> RoundReport:
            swept.append("dispatch")
            return super().round(*arguments, **named)

        def _decide(self, *arguments: Any) -> Plan:
            plan = super()._decide(*arguments)
            rescue.somebody_asks()
            return plan

    dispatcher = Watched(scene.store, bus, scene.settings)
    return Tick(_Stores(rescue), dispatcher, bus, scene.settings, sweep=sweep), rescue, swept


def test_the_passes_come_in_their_order(scene: Any, bus: Any) -> None:
    tick, _, passes = _watched(scene, bus, 0)
    tick.run()
    assert passes == [
        "beat",
        "stop_overdue",
        "withdraw_unstartable",
        "sweep",
        "unpublished",
        "stale_landings",
        "dispatch",
    ]


def test_an_armed_tick_buries_and_ends_leases_as_well(scene: Any, bus: Any) -> None:
    tick, _, passes = _watched(scene, bus, 0)
    for _ in range(10):
        tick.run()
        scene.clock.advance(5 * SECOND)
    passes.clear()
    assert tick.run().armed
    assert passes[:4] == ["beat", "stop_overdue", "bury_incarnations", "expire_leases"]


@pytest.mark.parametrize(("more", "rounds"), [(0, 1), (1, 2), (50, MAX_ROUNDS)])
def test_a_tick_goes_round_again_while_somebody_asks_but_not_for_ever(
    scene: Any, bus: Any, more: int, rounds: int
) -> None:
    tick, _, passes = _watched(scene, bus, more)
    tick.run()
    assert passes.count("dispatch") == rounds
    assert bus.nudges == (1 if more > rounds else 0), "what is still wished for is left to somebody else"


def test_a_tick_leaves_what_is_wished_for_to_whoever_settles_next(scene: Any, bus: Any) -> None:
    worker = scene.worker()
    scene.report(scene.start(scene.claimed(scene.bead()), worker), Completed(nothing_to_do=True))
    tick, _, passes = _watched(scene, bus, 5)
    tick.run()
    assert passes.count("dispatch") == 1
    assert bus.nudges == 0


def test_two_ticks_at_once_dispatch_every_bead_once(scene: Any, bus: Any, tick: Tick, at_once: Any) -> None:
    scene.worker(agents=6)
    for number in range(6):
        scene.bead(f"shop-{number}")
    reports = at_once([tick.run] * 3)
    assert sum(report.dispatched for report in reports) == 6
    assert len({task.run_id for task in bus.tasks}) == len(bus.tasks) == 6


def test_a_nudge_dispatches_without_rescue_and_lets_the_next_wish_be_published(scene: Any, bus: Any) -> None:
    tick, _, passes = _watched(scene, bus, 0)
    alive = timedelta(seconds=4)
    scene.worker()
    scene.bead()
    assert [scene.store.rescue.want(queued_for=alive) for _ in range(2)] == [True, False]
    assert tick.nudged() == 1
    assert passes == ["take_nudge", "dispatch"]
    assert scene.store.rescue.want(queued_for=alive) is True


def test_whoever_finds_a_round_under_way_leaves_its_wish_to_it(scene: Any, bus: Any, tick: Tick) -> None:
    scene.worker(agents=2)
    with scene.store.dispatching.round():
        scene.bead("shop-1")
        scene.store.rescue.count_wish()
        assert tick.go_on() == 0
    assert tick.go_on() == 1


def test_a_wish_that_is_counted_during_a_round_is_seen_by_that_round(scene: Any, bus: Any, tick: Tick) -> None:
    scene.worker(agents=2)

    class Late(Dispatcher):
        """Somebody settles a run after this round has looked, and finds it under way."""

        def _decide(self, *arguments: Any) -> Plan:
            plan = super()._decide(*arguments)
            if not plan.placements:
                scene.bead("shop-1")
                scene.store.rescue.count_wish()
                assert tick.go_on() == 0
            return plan

    late = Tick(scene.store, Late(scene.store, bus, scene.settings), bus, scene.settings, sweep=lambda _: None)
    assert late.go_on() == 1
