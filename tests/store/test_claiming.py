"""Claiming: one bead, one winner; one agent, one run; all of it or nothing."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.errors import TickBusyError
from dispatch.models.dispatching import Lane, Refusal
from dispatch.models.identity import ProjectId
from dispatch.models.outcome import Failed
from dispatch.models.states import BeadStatus, RunState
from dispatch.store.dispatching import Round
from dispatch.store.transaction import Transaction

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]
LEASE = timedelta(seconds=45)


def _wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def test_a_claim_writes_step_run_agent_and_bead_together(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    handover = scene.claim(key)
    run = scene.run(handover.run_ids[0])
    assert (run.state, run.attempt, run.role, run.writes_branch) == (RunState.PENDING, 1, "dev", True)
    assert run.timeout == timedelta(minutes=30)
    assert scene.agents_of(worker)[0].state == "reserved"
    assert scene.read(key).status == BeadStatus.IN_PROGRESS
    assert handover.tasks[0].run_id == run.id
    assert handover.agents == (run.agent_id,)


def test_of_64_claims_of_one_bead_exactly_one_wins(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker(agents=64)
    key = scene.bead()

    def claim(agent: Any) -> list[Any]:
        with scene.store.units.begin() as tx:
            return Round(tx, LEASE, None).claim([scene.placement(key, [agent])])

    answers = at_once([lambda agent=agent: claim(agent) for agent in scene.agents_of(worker)])
    assert sorted(len(answer) for answer in answers) == [0] * 63 + [1]
    assert [agent.state for agent in scene.agents_of(worker)].count("reserved") == 1
    assert scene.value("SELECT count(*) FROM runs") == scene.value("SELECT count(*) FROM steps") == 1


def test_of_16_claims_of_one_agent_exactly_one_wins(scene: Any, at_once: AtOnce) -> None:
    agent = scene.agents_of(scene.worker())[0]
    keys = [scene.bead(f"shop-{number}") for number in range(16)]

    def claim(key: Any) -> list[Any]:
        with scene.store.units.begin() as tx:
            return Round(tx, LEASE, None).claim([scene.placement(key, [agent])])

    answers = at_once([lambda key=key: claim(key) for key in keys])
    assert sorted(len(answer) for answer in answers) == [0] * 15 + [1]
    assert sorted(scene.read(key).status for key in keys) == ["in_progress"] + ["open"] * 15


def test_a_second_round_waits_for_the_first_and_sees_what_it_did(scene: Any) -> None:
    scene.worker(agents=2)
    key = scene.bead()
    seen: list[int] = []

    def second() -> None:
        with scene.store.dispatching.round() as round_:
            seen.append(len(round_.supply().agents))

    thread = threading.Thread(target=second)
    with scene.store.dispatching.round() as round_:
        thread.start()
        _wait_for(lambda: scene.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        round_.claim([scene.placement(key, round_.supply().agents[:1])])
    thread.join(20)
    assert seen == [1], "the agent that the first round reserved is not offered again"


def test_a_round_that_is_held_too_long_is_left_alone(scene: Any) -> None:
    with scene.store.dispatching.round(), pytest.raises(TickBusyError), scene.store.dispatching.round():
        pytest.fail("two rounds at once")


def test_a_claim_for_three_agents_is_one_step_of_three_runs(scene: Any) -> None:
    worker = scene.worker(agents=3)
    key = scene.bead()
    handover = scene.claim(key, scene.agents_of(worker))
    runs = [scene.run(run_id) for run_id in handover.run_ids]
    assert {run.step_id for run in runs} == {handover.step_id}
    assert [run.index for run in runs] == [0, 1, 2]
    assert [run.writes_branch for run in runs] == [True, False, False]
    assert {run.attempt for run in runs} == {1}
    assert len({run.agent_id for run in runs}) == 3
    assert scene.value("SELECT size FROM steps") == 3


def test_a_claim_takes_all_of_its_agents_or_none(scene: Any) -> None:
    worker = scene.worker(agents=3)
    first, second, third = scene.agents_of(worker)
    assert scene.claim(scene.bead("shop-1"), [second]) is not None
    assert scene.claim(scene.bead("shop-2"), [first, second, third]) is None
    assert [agent.state for agent in scene.agents_of(worker)] == ["idle", "reserved", "idle"]
    assert scene.value("SELECT count(*) FROM steps") == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "closed"},
        {"status": "in_progress"},
        {"status": "deferred"},
        {"issue_type": "epic"},
        {"labels": ("human",)},
        {"pinned": True},
        {"ephemeral": True},
        {"waits_for": ("shop-0",)},
    ],
    ids=str,
)
def test_a_bead_that_is_not_ready_is_not_claimed(scene: Any, fields: dict[str, Any]) -> None:
    worker = scene.worker()
    scene.bead("shop-0")
    assert scene.claim(scene.bead("shop-1", **fields)) is None
    assert scene.agents_of(worker)[0].state == "idle"
    assert scene.value("SELECT count(*) FROM steps") == 0


def test_a_deferred_bead_is_claimed_from_its_moment_on(scene: Any) -> None:
    scene.worker()
    key = scene.bead(defer_until=scene.clock.at + timedelta(seconds=30))
    assert scene.claim(key) is None
    scene.clock.advance(timedelta(seconds=30))
    assert scene.claim(key) is not None


def test_a_bead_whose_step_is_open_is_not_claimed_again(scene: Any) -> None:
    scene.worker(agents=2)
    key = scene.bead()
    assert scene.claim(key) is not None
    assert scene.claim(key) is None
    scene.value("UPDATE beads SET status = 'open' RETURNING id")
    assert scene.claim(key) is None, "whatever has become of the bead, its run may be under way"


def test_an_attempt_is_one_more_than_the_last_and_a_withdrawn_run_is_none(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    scene.clock.advance(timedelta(minutes=1))
    scene.store.swarm.heartbeat(worker)
    second = scene.claim(key)
    scene.store.projects.set_paused(ProjectId("shop"), True)
    scene.store.rescue.withdraw_unstartable(max_publishes=3, backoff=timedelta(minutes=1), lease=LEASE)
    third = scene.claim(key)
    assert [second.tasks[0].attempt, third.tasks[0].attempt] == [2, 2]


@pytest.mark.parametrize("change", ["gone", "stopping", "not heard of", "local"])
def test_only_agents_of_fresh_workers_on_the_queues_are_offered(scene: Any, change: str) -> None:
    worker = scene.worker(pool="local" if change == "local" else "prefork")
    match change:
        case "gone":
            scene.store.swarm.leave(worker)
        case "stopping":
            scene.store.swarm.stop_taking(worker)
        case "not heard of":
            scene.clock.advance(LEASE)
    with scene.store.dispatching.look() as round_:
        assert round_.supply(lock=False).agents == ()


def test_a_lane_shows_its_beads_in_dispatch_order_and_no_more_than_asked_for(scene: Any) -> None:
    later = scene.clock.at + timedelta(seconds=1)
    scene.bead("shop-1", priority=2, created_at=later)
    scene.bead("shop-2", priority=1, created_at=later)
    scene.bead("shop-3", priority=2, created_at=scene.clock.at)
    scene.bead("shop-4", priority=0, role="qa")
    lane = Lane(project_id=ProjectId("shop"), hint="", role="dev", limit=2)
    other = Lane(project_id=ProjectId("shop"), hint="qa", role="qa", limit=5)
    with scene.store.dispatching.look() as round_:
        found = round_.candidates([lane, other])
    assert [(candidate.bead.id, candidate.lane.hint) for candidate in found] == [
        ("shop-2", ""),
        ("shop-3", ""),
        ("shop-4", "qa"),
    ]


def test_a_project_that_somebody_holds_keeps_no_other_waiting(scene: Any, repository: Any) -> None:
    scene.worker(agents=2)
    held = scene.bead("shop-1")
    other = scene.store.projects.add(ProjectId("barn"), repository)
    free = scene.bead("barn-1", project=other.id)
    with scene.store.units.begin() as holder:
        holder.lock_project(held.project_id)
        with scene.store.dispatching.round() as round_:
            agents = round_.supply().agents
            handovers = round_.claim([scene.placement(held, agents[:1]), scene.placement(free, agents[1:])])
    assert [handover.project_id for handover in handovers] == ["barn"]
    assert scene.read(held).status == BeadStatus.OPEN


def test_a_refusal_is_kept_and_does_not_wait_for_a_row_that_somebody_changes(scene: Any) -> None:
    held, free = scene.bead("shop-1"), scene.bead("shop-2")
    with scene.store.units.begin() as holder, scene.store.dispatching.round() as round_:
        holder.connection.execute(text("SELECT FROM beads WHERE id = 'shop-1' FOR UPDATE"))
        round_.refuse([Refusal(bead=key, reason="All slots are in use.") for key in (held, free)])
    assert [scene.read(key).refusal for key in (held, free)] == ["", "All slots are in use."]


def test_a_claim_clears_the_refusal(scene: Any) -> None:
    scene.worker()
    key = scene.bead()
    with scene.store.dispatching.round() as round_:
        round_.refuse([Refusal(bead=key, reason="All slots are in use.")])
    scene.claim(key)
    assert scene.read(key).refusal == ""


def test_a_look_changes_nothing_and_waits_for_nobody(scene: Any) -> None:
    scene.worker()
    with scene.store.dispatching.round() as round_, scene.store.dispatching.look() as look:
        assert len(round_.supply().agents) == 1
        assert len(look.supply(lock=False).agents) == 1


def test_a_claim_tells_its_history_which_agent_holds_the_run(scene: Any) -> None:
    scene.worker()
    key = scene.bead()
    run = scene.run(scene.claimed(key))
    (event,) = scene.events("run.claimed")
    assert (event.bead_id, event.run_id) == (key.bead_id, run.id)
    assert event.data["agent"] == str(run.agent_id)
    assert event.data["attempt"] == 1


def test_the_tick_lock_and_a_project_lock_are_not_each_other(scene: Any) -> None:
    with scene.store.units.begin() as one, scene.store.units.begin() as two:
        one.lock_tick()
        assert isinstance(two, Transaction)
        assert two.lock_project(ProjectId("shop")) is True
        assert two.lock_project(ProjectId("nowhere")) is False
