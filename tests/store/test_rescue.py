"""Rescue: what was dropped comes back, and nothing that is only late is taken away."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.identity import BeadKey, ProjectId, RunId
from dispatch.models.outcome import Cancelled, Completed, Lost, TimedOut
from dispatch.models.states import RunState, StopReason

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]
LEASE = timedelta(seconds=45)
MINUTE = timedelta(minutes=1)


def _beat(scene: Any) -> Any:
    return scene.store.rescue.beat(largest_gap=timedelta(seconds=15), arm_after=LEASE)


def _withdraw(scene: Any) -> list[RunId]:
    return list(scene.store.rescue.withdraw_unstartable(max_publishes=3, backoff=MINUTE, lease=LEASE))


def _unpublished(scene: Any) -> list[RunId]:
    return [run_id for handover in scene.store.rescue.unpublished(MINUTE) for run_id in handover.run_ids]


# Arming (PROTOCOL, rule 11)


def test_rescue_is_armed_after_ticks_without_a_gap_for_a_lease(scene: Any) -> None:
    armed = []
    for _ in range(11):
        armed.append(_beat(scene).armed)
        scene.clock.advance(timedelta(seconds=5))
    assert armed == [False] * 9 + [True] * 2


@pytest.mark.parametrize(("gap", "armed"), [(15, True), (16, False)])
def test_a_gap_between_ticks_disarms_it(scene: Any, gap: int, armed: bool) -> None:
    for _ in range(10):
        _beat(scene)
        scene.clock.advance(timedelta(seconds=5))
    scene.clock.advance(timedelta(seconds=gap - 5))
    assert _beat(scene).armed is armed
    if not armed:
        for _ in range(4):
            scene.clock.advance(timedelta(seconds=11))
            assert not _beat(scene).armed
        scene.clock.advance(timedelta(seconds=1))
        assert _beat(scene).armed


# Leases


def test_a_lease_that_ended_reports_the_run_as_lost(scene: Any) -> None:
    worker = scene.worker()
    run_id = scene.claimed(scene.bead())
    scene.start(run_id, worker)
    scene.clock.advance(LEASE - timedelta(seconds=1))
    assert scene.store.rescue.expire_leases() == []
    scene.clock.advance(timedelta(seconds=1))
    assert scene.store.rescue.expire_leases() == [run_id]
    run = scene.run(run_id)
    assert (run.state, run.reported_at, run.token) == (RunState.REPORTED, scene.clock.at, None)
    assert isinstance(run.outcome, Lost)
    (event,) = scene.events("run.expired")
    assert (event.data["outcome"], event.data["agent"]) == ("lost", str(run.agent_id))
    assert scene.store.rescue.expire_leases() == []


def test_a_run_past_its_deadline_is_timed_out_when_its_lease_ends(scene: Any) -> None:
    worker = scene.worker()
    run_id = scene.claim(scene.bead(), timeout=timedelta(seconds=20)).run_ids[0]
    scene.start(run_id, worker)
    scene.clock.advance(LEASE)
    scene.store.rescue.expire_leases()
    assert scene.run(run_id).outcome == TimedOut(limit_seconds=20, summary="Its worker no longer answered.")


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        ("close", Cancelled(cause="closed by hand", summary="Its worker no longer answered.")),
        ("hand back", Cancelled(cause="handback", summary="Its worker no longer answered.")),
    ],
)
def test_a_run_that_was_asked_to_stop_is_cancelled_when_its_lease_ends(scene: Any, ask: str, expected: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    run_id = scene.claimed(key)
    scene.start(run_id, worker)
    if ask == "close":
        scene.store.edits.close(key, "")
    else:
        assert scene.store.swarm.stop_taking(worker) == 1
    scene.clock.advance(LEASE)
    scene.store.rescue.expire_leases()
    assert scene.run(run_id).outcome == expected


def test_a_lease_that_is_being_renewed_is_left_alone(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    scene.clock.advance(LEASE)
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("UPDATE runs SET lease_until = lease_until + interval '45 s'"))
        assert scene.store.rescue.expire_leases() == []
    assert scene.run(started.run.id).state is RunState.RUNNING


def test_an_overdue_run_is_asked_to_stop_once(scene: Any) -> None:
    worker = scene.worker()
    run_id = scene.claim(scene.bead(), timeout=MINUTE).run_ids[0]
    started = scene.start(run_id, worker)
    scene.clock.advance(MINUTE + timedelta(seconds=4))
    assert scene.store.rescue.stop_overdue(timedelta(seconds=5)) == []
    scene.clock.advance(timedelta(seconds=1))
    assert scene.store.rescue.stop_overdue(timedelta(seconds=5)) == [run_id]
    assert scene.store.rescue.stop_overdue(timedelta(seconds=5)) == []
    assert scene.store.running.renew(run_id, started.token).stop_reason is StopReason.DEADLINE
    assert len(scene.events("run.asked_to_stop")) == 1


def test_a_report_and_the_wish_to_stop_at_once_leave_the_report(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    scene.clock.advance(timedelta(hours=1))
    reported, asked = at_once(
        [lambda: scene.report(started, Completed()), lambda: scene.store.rescue.stop_overdue(timedelta(seconds=5))]
    )
    assert reported is True
    assert asked in ([], [started.run.id])
    assert scene.run(started.run.id).outcome == Completed()


def test_a_report_and_the_end_of_the_lease_at_once_leave_one_outcome(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker()
    for number in range(8):
        scene.store.swarm.heartbeat(worker)
        started = scene.start(scene.claimed(scene.bead(f"shop-{number}")), worker)
        scene.clock.advance(LEASE)
        reported, expired = at_once(
            [lambda one=started: scene.report(one, Completed()), scene.store.rescue.expire_leases]
        )
        run = scene.run(started.run.id)
        assert reported is (expired == [])
        assert run.outcome == Completed() if reported else isinstance(run.outcome, Lost)
        scene.settle(run.id)
        scene.store.swarm.heartbeat(worker)


# Messages (PROTOCOL, rule 7)


def test_a_run_that_the_bus_never_took_is_published_again_after_a_moment(scene: Any) -> None:
    scene.worker()
    run_id = scene.claim(scene.bead()).run_ids[0]
    assert _unpublished(scene) == [], "it may be on its way to the bus"
    scene.clock.advance(timedelta(seconds=5))
    assert _unpublished(scene) == [run_id]


def test_a_run_that_nobody_starts_is_published_after_1_2_and_4_minutes_and_then_withdrawn(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    run_id = scene.claimed(key)
    for publishes, minutes in ((1, 1), (2, 2)):
        assert scene.run(run_id).publishes == publishes
        scene.clock.advance(minutes * MINUTE - timedelta(seconds=1))
        scene.store.swarm.heartbeat(worker)
        assert (_withdraw(scene), _unpublished(scene)) == ([], [])
        scene.clock.advance(timedelta(seconds=1))
        assert (_withdraw(scene), _unpublished(scene)) == ([], [run_id])
        scene.store.dispatching.mark_published([run_id])
    scene.clock.advance(4 * MINUTE - timedelta(seconds=1))
    scene.store.swarm.heartbeat(worker)
    assert (_withdraw(scene), _unpublished(scene)) == ([], [])
    scene.clock.advance(timedelta(seconds=1))
    assert _withdraw(scene) == [run_id]
    assert _unpublished(scene) == []
    bead = scene.read(key)
    assert (bead.status, bead.hops, bead.failures) == ("open", 0, 0)
    assert bead.refusal == "No worker started it, though it was handed over again and again."
    assert scene.agents_of(worker)[0].state == "idle"
    assert scene.run(run_id).state is RunState.WITHDRAWN
    assert scene.kinds(key)[-2:] == ["run.withdrawn", "bead.open"]
    assert scene.store.running.start(run_id, worker) == "it is withdrawn"


def test_a_running_run_is_not_published_again(scene: Any) -> None:
    worker = scene.worker()
    run_id = scene.claimed(scene.bead())
    scene.start(run_id, worker)
    scene.clock.advance(timedelta(hours=1))
    assert _unpublished(scene) == []
    scene.store.dispatching.mark_published([run_id])
    assert scene.run(run_id).publishes == 1


def test_runs_of_a_step_are_published_again_one_by_one(scene: Any) -> None:
    worker = scene.worker(agents=3)
    handover = scene.claim(scene.bead(), scene.agents_of(worker))
    scene.start(handover.run_ids[1], worker)
    scene.clock.advance(timedelta(seconds=5))
    again = scene.store.rescue.unpublished(MINUTE)
    assert sorted(one.run_ids for one in again) == sorted([(handover.run_ids[0],), (handover.run_ids[2],)])
    assert {one.step_id for one in again} == {handover.step_id}


# Withdrawing


def test_a_pending_run_of_a_role_that_nobody_serves_is_withdrawn(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    run_id = scene.claimed(key)
    assert _withdraw(scene) == []
    scene.store.swarm.leave(worker)
    assert scene.agents_of(worker)[0].state == "reserved"
    assert _withdraw(scene) == [run_id]
    assert scene.read(key).refusal == "No live worker serves the role dev."
    assert scene.agents_of(worker)[0].state == "gone"


def test_a_pending_run_whose_worker_left_waits_for_another_of_its_role(scene: Any) -> None:
    worker = scene.worker("one@host")
    other = scene.worker("two@host")
    run_id = scene.claimed(scene.bead(), scene.agents_of(worker))
    scene.store.swarm.leave(worker)
    assert _withdraw(scene) == []
    assert scene.start(run_id, other).run.incarnation_id == other


def test_a_pending_run_of_a_paused_project_is_withdrawn_and_a_running_one_is_not(scene: Any) -> None:
    worker = scene.worker(agents=2)
    running = scene.claimed(scene.bead("shop-1"))
    scene.start(running, worker)
    key = scene.bead("shop-2")
    pending = scene.claimed(key)
    scene.store.projects.set_paused(ProjectId("shop"), True, "lunch")
    assert _withdraw(scene) == [pending]
    assert scene.run(running).state is RunState.RUNNING
    assert scene.read(key).refusal == "The project is paused."


def test_a_project_that_somebody_holds_is_passed_over(scene: Any) -> None:
    scene.worker()
    key = scene.bead()
    scene.claimed(key)
    scene.store.projects.set_paused(key.project_id, True)
    with scene.store.units.begin() as holder:
        holder.lock_project(key.project_id)
        assert _withdraw(scene) == []
    assert len(_withdraw(scene)) == 1


def test_a_start_and_a_withdrawal_at_once_leave_one_of_them(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker()
    for number in range(8):
        scene.store.projects.set_paused(ProjectId("shop"), False)
        key = scene.bead(f"shop-{number}")
        run_id = scene.claimed(key)
        scene.store.projects.set_paused(ProjectId("shop"), True)
        started, withdrawn = at_once([lambda: scene.store.running.start(run_id, worker), lambda: _withdraw(scene)])  # noqa: B023
        if withdrawn:
            assert started == "it is withdrawn"
            assert scene.agents_of(worker)[0].state == "idle"
        else:
            assert scene.agents_of(worker)[0].state == "working"
            scene.report(started, Completed(nothing_to_do=True))
            scene.settle(run_id)


# Workers


def test_a_worker_not_heard_of_for_a_lease_is_buried_with_its_agents(scene: Any) -> None:
    silent, alive = scene.worker("silent@host", agents=2), scene.worker("alive@host")
    run_id = scene.claimed(scene.bead(), scene.agents_of(silent)[:1])
    scene.start(run_id, silent)
    scene.clock.advance(LEASE)
    scene.store.swarm.heartbeat(alive)
    assert scene.store.rescue.bury_incarnations(LEASE) == ["silent@host"]
    assert scene.store.rescue.bury_incarnations(LEASE) == []
    assert [agent.state for agent in scene.agents_of(silent)] == ["gone", "gone"]
    assert [agent.state for agent in scene.agents_of(alive)] == ["idle"]
    assert scene.store.swarm.heartbeat(silent) is False
    assert scene.run(run_id).state is RunState.RUNNING, "the run has a lease of its own"
    scene.store.rescue.expire_leases()
    scene.settle(run_id)
    assert [agent.state for agent in scene.agents_of(silent)] == ["gone", "gone"]


# Stale reports


def test_a_report_is_swept_when_it_has_waited_for_5_seconds(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    scene.report(started, Completed())
    age = timedelta(seconds=5)
    scene.clock.advance(timedelta(seconds=4.9))
    assert scene.store.settling.stale_reports(age, max_failures=5) == []
    scene.clock.advance(timedelta(seconds=0.1))
    assert scene.store.settling.stale_reports(age, max_failures=5) == [started.run.id]


# Nudges (PROTOCOL, rule 6)


def wishes(scene: Any) -> int:
    return int(scene.value("SELECT wanted FROM ticker"))


def test_a_nudge_is_published_unless_one_is_queued(scene: Any) -> None:
    rescue, alive = scene.store.rescue, timedelta(seconds=4)
    before = wishes(scene)
    assert [rescue.want(queued_for=alive) for _ in range(3)] == [True, False, False]
    assert wishes(scene) == before + 3
    scene.clock.advance(alive)
    assert rescue.want(queued_for=alive) is True, "the queued one has expired"
    assert rescue.want(queued_for=alive) is False
    assert _beat(scene).wanted == before + 5
    assert rescue.want(queued_for=alive) is True, "the tick that began took the queued one"


def test_nudges_at_once_are_all_counted_and_one_is_published(scene: Any, at_once: AtOnce) -> None:
    before = wishes(scene)
    answers = at_once([lambda: scene.store.rescue.want(queued_for=timedelta(seconds=4))] * 12)
    assert sorted(answers) == [False] * 11 + [True]
    assert wishes(scene) == before + 12


# Landings


def test_a_landing_is_asked_for_again_after_a_while(scene: Any) -> None:
    worker = scene.worker()
    rescue, patience = scene.store.rescue, timedelta(seconds=30)
    assert rescue.stale_landings(patience) == []
    key = scene.bead()
    scene.work(key, worker, Completed(), "c" * 40)
    assert rescue.stale_landings(patience) == [key.project_id]
    assert rescue.stale_landings(patience) == []
    scene.clock.advance(patience)
    assert rescue.stale_landings(patience) == [key.project_id]
    scene.clock.advance(patience)
    scene.store.landings.postpone(BeadKey(key.project_id, key.bead_id), "the tree is dirty", MINUTE)
    assert rescue.stale_landings(patience) == []
