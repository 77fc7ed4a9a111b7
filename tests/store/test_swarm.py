"""Workers and their agents: they come, are heard of, and go."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from dispatch.models.agent import Incarnation
from dispatch.models.identity import IncarnationId, uuid7
from dispatch.models.outcome import Cancelled, Completed
from dispatch.models.states import StopReason
from dispatch.store import Store

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]
LEASE = timedelta(seconds=45)


def test_a_worker_has_as_many_idle_agents_as_pool_processes(scene: Any) -> None:
    worker = scene.worker("one@host", roles=("dev", "qa"), agents=3)
    agents = scene.store.swarm.agents()
    assert [agent.name for agent in agents] == ["one@host/1", "one@host/2", "one@host/3"]
    assert {agent.roles for agent in agents} == {("dev", "qa")}
    assert {agent.state for agent in agents} == {"idle"}
    (known,) = scene.store.swarm.workers()
    assert (known.id, known.started_at, known.heartbeat_at) == (worker, scene.clock.at, scene.clock.at)


def test_registering_twice_changes_nothing(scene: Any) -> None:
    worker = Incarnation(
        id=IncarnationId(uuid7()), node="one@host", host="host", pid=1, version="1", queues=(), roles=("dev",), agents=2
    )
    scene.store.swarm.register(worker)
    scene.store.swarm.register(worker)
    assert len(scene.store.swarm.agents()) == 2
    assert len(scene.events("worker.registered")) == 1


def test_agents_are_found_by_role_and_by_whether_they_are_idle(scene: Any) -> None:
    dev, qa = scene.worker("dev@host", roles=("dev",)), scene.worker("qa@host", roles=("qa", "dev"))
    scene.claimed(scene.bead(), scene.agents_of(dev))
    swarm = scene.store.swarm
    assert [agent.name for agent in swarm.agents("qa")] == ["qa@host/1"]
    assert {agent.name for agent in swarm.agents("dev")} == {"dev@host/1", "qa@host/1"}
    assert [agent.incarnation_id for agent in swarm.agents(idle=True)] == [qa]
    (busy,) = swarm.agents(idle=False)
    assert busy.run_id is not None
    assert swarm.roles_served() == {"dev", "qa"}
    assert swarm.queues_served() == {"role.dev", "role.qa"}


def test_a_worker_that_is_not_heard_of_does_not_count_until_it_is_again(scene: Any) -> None:
    worker = scene.worker()
    scene.clock.advance(LEASE)
    assert (scene.store.swarm.workers(), scene.store.swarm.agents(), scene.store.swarm.roles_served()) == (
        [],
        [],
        frozenset(),
    )
    assert scene.store.swarm.heartbeat(worker) is True
    assert len(scene.store.swarm.agents()) == 1


def test_a_heartbeat_of_an_unknown_or_gone_worker_says_so(scene: Any) -> None:
    worker = scene.worker()
    scene.store.swarm.leave(worker)
    assert scene.store.swarm.heartbeat(worker) is False
    assert scene.store.swarm.heartbeat(IncarnationId(uuid7())) is False


def test_a_stopping_worker_hands_back_what_runs_and_keeps_its_heartbeat(scene: Any) -> None:
    worker, other = scene.worker("one@host", agents=2), scene.worker("two@host")
    mine = scene.start(scene.claimed(scene.bead("shop-1"), scene.agents_of(worker)[:1]), worker)
    theirs = scene.start(scene.claimed(scene.bead("shop-2"), scene.agents_of(other)), other)
    assert scene.store.swarm.stop_taking(worker) == 1
    assert scene.store.swarm.stop_taking(worker) == 0
    assert scene.store.running.renew(mine.run.id, mine.token).stop_reason is StopReason.HANDBACK
    assert scene.store.running.renew(theirs.run.id, theirs.token).stop_reason is None
    assert scene.store.swarm.heartbeat(worker) is True
    scene.report(mine, Cancelled(cause="handback"))
    scene.settle(mine.run.id)
    bead = scene.read(mine.run.bead_key)
    assert (bead.status, bead.hops, bead.failures, bead.ready_from) == ("open", 0, 0, None)


def test_a_start_and_a_shutdown_at_once_leave_no_run_that_was_not_asked_to_stop(scene: Any, at_once: AtOnce) -> None:
    for number in range(8):
        worker = scene.worker(f"w{number}@host")
        run_id = scene.claimed(scene.bead(f"shop-{number}"), scene.agents_of(worker))
        started, asked = at_once(
            [
                lambda pair=(run_id, worker): scene.store.running.start(*pair),
                lambda worker=worker: scene.store.swarm.stop_taking(worker),
            ]
        )
        assert isinstance(started, str) is (asked == 0)
        assert (scene.run(run_id).stop_reason == StopReason.HANDBACK) is (asked == 1)


def test_the_agents_of_a_worker_that_left_are_gone_when_their_runs_have_ended(scene: Any) -> None:
    worker = scene.worker(agents=2)
    started = scene.start(scene.claimed(scene.bead()), worker)
    scene.store.swarm.leave(worker)
    scene.store.swarm.leave(worker)
    assert sorted(agent.state for agent in scene.agents_of(worker)) == ["gone", "working"]
    assert len(scene.events("worker.left")) == 1
    scene.settle(started.run.id)
    assert [agent.state for agent in scene.agents_of(worker)] == ["gone", "gone"]


def test_a_worker_may_be_named_by_what_it_registered_as(scene: Any) -> None:
    scene.worker()
    (worker,) = scene.store.swarm.workers()
    assert scene.store.swarm.heartbeat(worker) is True
    scene.store.swarm.leave(worker)
    assert scene.store.swarm.workers() == []
    assert scene.store.swarm.heartbeat(worker) is False


def test_a_worker_without_agents_serves_its_queues_only(scene: Any) -> None:
    scene.worker("settler@host", roles=(), agents=0)
    assert len(scene.store.swarm.workers()) == 1
    assert scene.store.swarm.agents() == []


@pytest.mark.parametrize("inside", [True, False])
def test_a_worker_of_its_own_process_is_used_by_that_process_alone(scene: Any, inside: bool) -> None:
    local, queued = scene.worker("me@host", pool="local"), scene.worker("them@host")
    within = local if inside else None
    store = Store(scene.store.engine, lease=LEASE, clock=scene.clock, within=within)
    with store.dispatching.look() as look:
        offered = {agent.incarnation_id for agent in look.supply(lock=False).agents}
    assert offered == ({local} if inside else {queued})


def test_what_a_worker_that_leaves_did_not_report_is_given_back_at_once(scene: Any) -> None:
    asked, unasked = scene.worker("one@host"), scene.worker("two@host")
    first = scene.start(scene.claimed(scene.bead("shop-1"), scene.agents_of(asked)), asked)
    second = scene.start(scene.claimed(scene.bead("shop-2"), scene.agents_of(unasked)), unasked)
    scene.store.swarm.stop_taking(asked)
    for worker in (asked, unasked):
        scene.store.swarm.leave(worker)
    assert [scene.run(run.run.id).outcome.kind for run in (first, second)] == ["cancelled", "lost"]
    assert scene.store.running.renew(first.run.id, first.token) is None
    assert not scene.report(first, Completed(nothing_to_do=True)), "what it says afterwards counts no more"
    for run in (first, second):
        scene.settle(run.run.id)
        bead = scene.read(run.run.bead_key)
        assert (bead.status, bead.hops, bead.failures) == ("open", 0, 0)
