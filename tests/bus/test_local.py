"""The local bus: as many runs at once as agents, the rest beside them, and an end that leaves nothing lying."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from dispatch.bus.local import LocalBus, LocalWork
from dispatch.models.identity import ProjectId, RunId, uuid7
from dispatch.models.messages import TaskMessage

SHOP = ProjectId("shop")


def _task() -> TaskMessage:
    return TaskMessage(
        run_id=uuid4(), step_id=uuid4(), project_id="shop", bead_id="shop-1", role="dev", attempt=1, timeout_seconds=9
    )


class Work:
    """Notes what it is called for."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Any]] = []
        self.refused: set[Any] = set()
        self.hold: threading.Barrier | None = None

    def run(self, task: TaskMessage) -> None:
        if self.hold is not None:
            self.hold.wait(20)
        if task.run_id in self.refused:
            raise PermissionError("the start was refused")
        self.done.append(("run", task.run_id))

    def settle(self, run_id: RunId) -> None:
        self.done.append(("settle", run_id))

    def land(self, project_id: ProjectId) -> None:
        self.done.append(("land", project_id))

    def tick(self) -> None:
        self.done.append(("tick", None))

    def bound(self) -> LocalWork:
        return LocalWork(run=self.run, settle=self.settle, land=self.land, tick=self.tick)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def bus(work: Work) -> Iterator[LocalBus]:
    bus = LocalBus(agents=2)
    bus.bind(work.bound())
    yield bus
    bus.close()


def test_a_run_is_settled_when_it_ended(bus: LocalBus, work: Work) -> None:
    task = _task()
    bus.publish_task(SHOP, task)
    bus.drain()
    assert work.done == [("run", task.run_id), ("settle", task.run_id)]


def test_a_role_makes_no_difference_here(bus: LocalBus, work: Work) -> None:
    task = _task()
    bus.publish_task_for_role(SHOP, "qa", task)
    bus.drain()
    assert work.done[0] == ("run", task.run_id)


def test_as_many_runs_go_at_once_as_there_are_agents(bus: LocalBus, work: Work) -> None:
    work.hold = threading.Barrier(2)
    tasks = [_task() for _ in range(4)]
    bus.publish_step(SHOP, tasks)
    bus.drain()
    assert {run_id for what, run_id in work.done if what == "run"} == {task.run_id for task in tasks}


def test_what_is_not_a_run_does_not_wait_for_the_agents(bus: LocalBus, work: Work) -> None:
    work.hold = threading.Barrier(3)
    bus.publish_step(SHOP, [_task(), _task()])
    landed = threading.Event()
    bus.bind(LocalWork(run=work.run, settle=work.settle, land=lambda _: landed.set(), tick=work.tick))
    bus.publish_landing(SHOP)
    assert landed.wait(20), "the landing waits behind the runs"
    work.hold.wait(20)
    bus.drain()


def test_settles_landings_and_ticks_are_done(bus: LocalBus, work: Work) -> None:
    run_id = RunId(uuid7())
    bus.publish_settle(run_id)
    bus.publish_landing(SHOP)
    bus.publish_nudge()
    bus.drain()
    assert work.done == [("settle", run_id), ("land", SHOP), ("tick", None)]


def test_a_drain_waits_for_what_work_publishes_in_turn(work: Work) -> None:
    bus = LocalBus(agents=1)
    more = [_task() for _ in range(20)]

    def tick() -> None:
        if more:
            bus.publish_task(SHOP, more.pop())

    def settle(run_id: RunId) -> None:
        work.settle(run_id)
        bus.publish_nudge()

    bus.bind(LocalWork(run=work.run, settle=settle, land=work.land, tick=tick))
    bus.publish_nudge()
    bus.drain()
    assert [what for what, _ in work.done] == ["run", "settle"] * 20
    bus.close()


def test_work_that_raises_is_not_settled_and_stops_nothing(bus: LocalBus, work: Work) -> None:
    refused, fine = _task(), _task()
    work.refused.add(refused.run_id)
    bus.publish_step(SHOP, [refused, fine])
    bus.drain()
    assert work.done == [("run", fine.run_id), ("settle", fine.run_id)]


def test_a_closed_bus_has_finished_its_work_and_takes_no_more(work: Work) -> None:
    bus = LocalBus(agents=1)
    bus.bind(work.bound())
    task = _task()
    bus.publish_task(SHOP, task)
    bus.close()
    assert len(work.done) == 2
    with pytest.raises(RuntimeError):
        bus.publish_task(SHOP, task)


def test_a_bus_that_was_not_bound_says_so() -> None:
    bus = LocalBus(agents=1)
    with pytest.raises(RuntimeError, match="bind"):
        bus.publish_nudge()
    bus.close()
