"""The tick: its passes in their order, once more while somebody asks, and out of the way of another one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.dispatcher.tick import MAX_ROUNDS
from dispatch.models.identity import ProjectId, RunId
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
            answer = getattr(self._real, name)(*arguments, **named)
            if name == "wanted" and self._more > 0:
                self._more -= 1
                return answer + self._more + 1
            return answer

        return call


class _Stores:
    def __init__(self, rescue: _Rescue) -> None:
        self.rescue = rescue


def _watched(scene: Any, bus: Any, more: int) -> tuple[Tick, _Rescue, list[str]]:
    rescue = _Rescue(scene.store.rescue, more)
    swept = rescue.passes

    def sweep(_: Sequence[RunId]) -> None:
        swept.append("sweep")

    class Watched(Dispatcher):
        def dispatch(self, project_id: ProjectId | None = None, limit: int | None = None) -> list[Any]:
            swept.append("dispatch")
            return super().dispatch(project_id, limit)

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
        "wanted",
    ]


def test_an_armed_tick_buries_and_ends_leases_as_well(scene: Any, bus: Any) -> None:
    tick, _, passes = _watched(scene, bus, 0)
    for _ in range(10):
        tick.run()
        scene.clock.advance(5 * SECOND)
    passes.clear()
    assert tick.run().armed
    assert passes[:4] == ["beat", "stop_overdue", "bury_incarnations", "expire_leases"]


@pytest.mark.parametrize(("more", "rounds"), [(0, 1), (1, 3), (50, MAX_ROUNDS)])
def test_a_tick_goes_round_again_while_somebody_asks_but_not_for_ever(
    scene: Any, bus: Any, more: int, rounds: int
) -> None:
    tick, _, passes = _watched(scene, bus, more)
    tick.run()
    assert passes.count("dispatch") == rounds


def test_two_ticks_at_once_dispatch_every_bead_once(scene: Any, bus: Any, tick: Tick, at_once: Any) -> None:
    scene.worker(agents=6)
    for number in range(6):
        scene.bead(f"shop-{number}")
    reports = at_once([tick.run] * 3)
    assert sum(report.dispatched for report in reports) == 6
    assert len({task.run_id for task in bus.tasks}) == len(bus.tasks) == 6
