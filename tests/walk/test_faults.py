"""What goes wrong between real processes, and that nothing is lost, doubled or forgotten by it."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery.states import READY_STATES

from dispatch.bus.celery import ERRBACK_TASK, RUN_TASK, SETTLE_TASK, TICK_TASK
from dispatch.models.outcome import Cancelled, Completed, Lost
from dispatch.models.queues import CONTROL_QUEUE, role_queue
from dispatch.models.run import Run
from dispatch.models.states import RunState
from tests.walk.observing import (
    ROLE,
    STORY,
    await_handled,
    claimed_by_hand,
    ends_of,
    gated_work,
    handled,
    interrupted_work,
    message_of,
    refusals,
    state_of,
    work,
)
from workers.collecting import collect_worktrees

CLOCK_ROLE = "clockmaker"
WRONG_CLOCK = Path(__file__).with_name("wrong_clock")
pytestmark = pytest.mark.xdist_group("walk-faults")


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any]) -> Any:
    """Given two agent workers of two agents each, and the services."""
    deployment = deploy(extra=f'[roles.{CLOCK_ROLE}]\nrunners = ["literal"]\n')
    deployment.start_worker("one", role_queue(ROLE))
    deployment.start_worker("two", role_queue(ROLE))
    deployment.start_services()
    deployment.await_workers("one", "two", "services")
    return deployment


def test_a_result_delivered_three_times_and_a_doubled_order_change_nothing(deployment: Any) -> None:
    (key,) = deployment.import_beads({"id": "dup-1", "title": "Doubled", "description": work("doubled")})
    deployment.await_status(key, "closed")
    (run,) = deployment.runs(key)
    before = state_of(deployment, key)
    settled = handled(deployment, SETTLE_TASK)

    for _ in range(3):
        deployment.system.bus.publish_settle(run.id)
    for _ in range(2):
        deployment.system.bus.publish_task(run.project_id, message_of(run))

    await_handled(deployment, SETTLE_TASK, settled + 3)

    deployment.until(lambda: len(refusals(deployment, run)) == 2, what="both doubled orders to be refused")
    assert set(refusals(deployment, run)) == {"it is settled"}
    assert state_of(deployment, key) == before


def test_a_body_that_never_came_is_made_up_for_by_the_sweep(deployment: Any) -> None:
    key, handover = claimed_by_hand(deployment, "body-1", work("bodiless"))
    (task,) = handover.tasks
    # The header alone, without the chord around it: its end wakes nobody.
    deployment.app.send_task(
        RUN_TASK, args=[task.model_dump(mode="json")], task_id=str(task.run_id), queue=role_queue(ROLE)
    )
    deployment.until(lambda: deployment.runs(key)[0].state is RunState.REPORTED, what="the report")
    settled = deployment.later(timedelta(seconds=6)).results.sweep()
    assert settled in ([task.run_id], []), "a tick may have been faster"
    deployment.await_status(key, "closed")
    assert deployment.story(key) == STORY

    # The sweep does not touch git: housekeeping lets the branch follow before the run's own ref goes.
    collect_worktrees(deployment.system)
    assert deployment.git("show", f"bead/{key.bead_id}:bodiless.txt") == "bodiless"


def test_a_step_of_three_is_one_chord_that_wakes_once(deployment: Any) -> None:
    settled = handled(deployment, SETTLE_TASK, "received")
    key, handover = claimed_by_hand(deployment, "three-1", work("three"), agents=3)
    deployment.system.dispatcher.hand_over([handover])
    deployment.await_status(key, "closed")
    await_handled(deployment, SETTLE_TASK, 1)
    assert handled(deployment, SETTLE_TASK, "received") == settled + 1
    kinds = deployment.story(key)
    assert [kinds.count(kind) for kind in STORY] == [3, 3, 3, 3, 1, 1]
    assert kinds[-3:] == ["run.settled", "bead.landing", "bead.closed"]
    runs = deployment.runs(key)
    assert len({run.agent_id or run.agent_name for run in runs}) == 3
    assert [run.writes_branch for run in sorted(runs, key=lambda run: run.index)] == [True, False, False]
    assert deployment.git("rev-list", "--count", "main", "--", "three.txt") == "1"


def test_one_lost_message_of_three_is_handed_over_again_alone(deployment: Any) -> None:
    key, handover = claimed_by_hand(deployment, "three-2", work("again"), agents=3)
    *kept, lost = handover.tasks
    astray = lost.model_copy(update={"role": "nobody-listens"})
    deployment.system.dispatcher.hand_over([replace(handover, tasks=(*kept, astray))])

    def states() -> list[str]:
        return sorted(run.state for run in deployment.runs(key))

    deployment.until(lambda: states().count("pending") == 1 and "running" not in states(), what="two of three to end")
    deployment.later(timedelta(seconds=6)).results.sweep()
    assert states() == ["pending", "settled", "settled"]
    assert deployment.bead(key).status == "in_progress", "a part of a step must not join it"

    patience = deployment.settings.dispatch.republish_after
    again = deployment.later(patience + timedelta(seconds=1)).store.rescue.unpublished(patience)
    assert [task.run_id for part in again for task in part.tasks] == [lost.run_id]
    assert deployment.system.dispatcher.hand_over(again) == 1
    deployment.await_status(key, "closed")
    assert len(deployment.runs(key)) == 3
    assert deployment.kinds(key).count("bead.landing") == 1


def test_ticks_that_come_doubled_and_at_once_dispatch_each_bead_once(deployment: Any) -> None:
    ticks = handled(deployment, TICK_TASK)
    documents = [{"id": f"many-{number}", "title": "x", "description": "```nothing\n```"} for number in range(1, 7)]
    keys = deployment.import_beads(*documents)
    for _ in range(40):
        deployment.app.send_task(TICK_TASK, queue=CONTROL_QUEUE, ignore_result=True)
    for key in keys:
        deployment.await_status(key, "closed")
    await_handled(deployment, TICK_TASK, ticks + 40)
    for key in keys:
        assert len(deployment.runs(key)) == 1
        assert deployment.story(key) == [kind for kind in STORY if kind != "bead.landing"]
    doubled = deployment.ask(
        "SELECT count(*) FROM (SELECT agent_id FROM runs WHERE state IN"
        " ('pending', 'running', 'reported') GROUP BY agent_id HAVING count(*) > 1) AS twice"
    )
    assert doubled == 0


def test_a_worker_told_to_end_hands_its_run_back_and_another_one_goes_on(deployment: Any) -> None:
    (key,) = deployment.import_beads({"id": "back-1", "title": "Back", "description": interrupted_work("back")})
    run = deployment.await_running(key)
    deployment.await_file(run, "back-wip.txt")
    worker = run.agent_name.partition("@")[0]
    deployment.terminate(worker)

    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert first.outcome == Cancelled(cause="handback")
    assert not psutil.pid_exists(run.process_group)
    assert second.base_sha == first.commit_sha
    assert deployment.git("show", f"{first.commit_sha}:back-wip.txt") == "wip"
    assert not second.agent_name.startswith(f"{worker}@")
    assert (deployment.repository / "back.txt").exists()
    bead = deployment.bead(key)
    assert (bead.hops, bead.failures, deployment.store.reading.errors(key)) == (1, 0, [])
    assert f"{worker}@here" not in {live.node for live in deployment.store.swarm.workers()}

    deployment.start_worker(worker, role_queue(ROLE))
    deployment.await_workers(worker)


def test_a_pool_process_that_is_killed_loses_its_run_soon_and_the_worker_goes_on(deployment: Any) -> None:
    hurried = handled(deployment, ERRBACK_TASK)
    (key,) = deployment.import_beads({"id": "oom-1", "title": "Killed", "description": interrupted_work("killed")})
    run = deployment.await_running(key)
    deployment.await_file(run, "killed-wip.txt")
    worker = run.agent_name.partition("@")[0]
    guard = psutil.Process(run.process_group).parent()
    (child,) = [process for process in deployment.agent_processes(worker) if guard in process.children()]
    os.kill(child.pid, signal.SIGKILL)

    deployment.await_status(key, "closed")
    await_handled(deployment, ERRBACK_TASK, hurried + 1)
    first, second = deployment.runs(key)
    assert isinstance(first.outcome, Lost)
    assert not psutil.pid_exists(run.process_group)
    # What it had written was kept by the next attempt on this host, and counts as its own work.
    assert deployment.git("show", f"{second.commit_sha}:killed-wip.txt") == "wip"
    assert deployment.bead(key).hops == 1
    deployment.until(lambda: len(deployment.agent_processes(worker)) == 2, what="another pool process")


def test_a_doubled_order_neither_fires_the_body_nor_stores_a_result(deployment: Any) -> None:
    description, gate = gated_work(deployment, "twice-1")
    (key,) = deployment.import_beads({"id": "twice-1", "title": "Twice", "description": description})
    run = deployment.await_running(key)
    settled = handled(deployment, SETTLE_TASK, "received")
    for _ in range(2):
        deployment.system.bus.publish_task(run.project_id, message_of(run))
    deployment.until(lambda: len(ends_of(deployment, run, "one", "two")) == 2, what="both doubled orders to end")
    assert ends_of(deployment, run, "one", "two") == ["ignored"] * 2
    assert refusals(deployment, run) == ["it is running"] * 2
    assert deployment.app.AsyncResult(str(run.id)).state not in READY_STATES
    assert handled(deployment, SETTLE_TASK, "received") == settled

    gate.touch()
    deployment.await_status(key, "closed")
    assert deployment.story(key) == STORY
    await_handled(deployment, SETTLE_TASK, settled + 1)


def test_a_bead_closed_by_hand_before_its_message_is_taken_never_starts(deployment: Any) -> None:
    key, handover = claimed_by_hand(deployment, "cancel-1", work("cancel-1"))
    deployment.store.edits.close(key, "Not needed.")
    deployment.system.dispatcher.hand_over([handover])
    (run,) = deployment.runs(key)
    deployment.until(lambda: refusals(deployment, run), what="the start to be refused")
    assert refusals(deployment, run) == ["it is withdrawn"]
    assert (deployment.bead(key).status, deployment.runs(key)) == ("closed", [run])
    assert deployment.ask("SELECT state FROM agents WHERE id = :agent", agent=run.agent_id) == "idle"
    assert not (deployment.repository / "cancel-1.txt").exists()


def test_a_bead_closed_by_hand_while_its_agent_works_ends_the_agent(deployment: Any) -> None:
    (key,) = deployment.import_beads({"id": "cancel-2", "title": "x", "description": interrupted_work("cancel-2")})
    run = deployment.await_running(key)
    deployment.await_file(run, "cancel-2-wip.txt")
    deployment.store.edits.close(key, "Not needed.")
    deployment.until(lambda: deployment.runs(key)[0].state is RunState.SETTLED, what="the run to be settled")
    (run,) = deployment.runs(key)
    assert run.outcome == Cancelled(cause="closed by hand")
    assert not psutil.pid_exists(run.process_group)
    assert deployment.git("show", f"{run.commit_sha}:cancel-2-wip.txt") == "wip"
    assert deployment.bead(key).status == "closed"
    assert "bead.landing" not in deployment.kinds(key)


def test_of_three_reviewers_one_killed_and_one_unheard_the_bead_moves_once(deployment: Any) -> None:
    description, gate = gated_work(deployment, "three-3")
    key, handover = claimed_by_hand(deployment, "three-3", description, agents=3)
    *kept, lost = handover.tasks
    astray = lost.model_copy(update={"role": "nobody-listens"})
    deployment.system.dispatcher.hand_over([replace(handover, tasks=(*kept, astray))])

    def runs() -> list[Run]:
        return sorted(deployment.runs(key), key=lambda run: run.index)

    def are(*expected: RunState) -> bool:
        return [run.state for run in runs()] == list(expected)

    running, pending, settled = RunState.RUNNING, RunState.PENDING, RunState.SETTLED
    deployment.until(lambda: are(running, running, pending), what="two of three to work")
    deployment.await_file(runs()[1], "three-3.txt")
    worker = runs()[1].agent_name.partition("@")[0]
    deployment.kill(worker)
    gate.touch()
    deployment.until(lambda: are(settled, settled, pending), what="the killed one to be lost, and the other to end")
    assert isinstance(runs()[1].outcome, Lost)
    assert deployment.bead(key).status == "in_progress", "a part of a step must not join it"

    patience = deployment.settings.dispatch.republish_after
    again = deployment.later(patience + timedelta(seconds=1)).store.rescue.unpublished(patience)
    assert deployment.system.dispatcher.hand_over(again) == 1
    deployment.until(lambda: are(settled, settled, settled), what="the unheard one to be heard")
    deployment.until(lambda: deployment.bead(key).status == "open", what="the bead to go back")
    first, _, third = runs()
    assert third.outcome == Completed(summary="Did 2 blocks; no tests were run.")
    kinds = deployment.kinds(key)
    assert kinds.count("run.settled") == 3
    assert kinds.count("bead.open") == 1
    assert "bead.landing" not in kinds
    if isinstance(first.outcome, Completed):  # else it was on the same worker
        assert deployment.bead(key).head_sha == first.commit_sha
    assert (deployment.bead(key).hops, deployment.bead(key).failures) == (0, 0), "a lost run is not the bead's fault"

    deployment.start_worker(worker, role_queue(ROLE))
    deployment.await_workers(worker)


def test_a_worker_that_was_stopped_past_its_lease_and_goes_on_touches_nothing(deployment: Any) -> None:
    writes_on = "n=0; while :; do n=$((n+1)); echo $n > stopped-wip.part; mv stopped-wip.part stopped-wip.txt; done"
    description = f"```sh attempt=1\n{writes_on}\n```\n{work('stopped')}"
    (key,) = deployment.import_beads({"id": "stopped-1", "title": "Stopped", "description": description})
    run = deployment.await_running(key)
    deployment.await_file(run, "stopped-wip.txt")
    worker = run.agent_name.partition("@")[0]
    agent = psutil.Process(run.process_group)
    main = psutil.Process(deployment.processes[worker].pid)
    family = [main, *main.children()]
    for process in family:
        process.suspend()
    try:
        deployment.until(lambda: len(deployment.runs(key)) == 2, what="the second attempt")
        # The broker may have given its message to the stopped worker, which still waits for one.
        patience = deployment.settings.dispatch.republish_after
        again = deployment.later(patience + timedelta(seconds=6)).store.rescue.unpublished(patience)
        deployment.system.dispatcher.hand_over(again)
        psutil.wait_procs([agent], timeout=20)
        assert not agent.is_running(), "the agent writes on"
        deployment.await_status(key, "closed")
        first, second = deployment.runs(key)
        assert isinstance(first.outcome, Lost)
        assert isinstance(second.outcome, Completed)
        assert int(deployment.git("show", f"{second.commit_sha}:stopped-wip.txt")) > 0
        before = state_of(deployment, key)
    finally:
        for process in family:
            process.resume()

    def refused() -> bool:
        events = deployment.store.reading.events_after(0, limit=10_000)
        return any(event.kind == "run.report_refused" and event.run_id == run.id for event in events)

    deployment.until(refused, what="the late report to be refused")
    assert state_of(deployment, key) == before
    deployment.await_workers(worker)
    deployment.until(lambda: len(deployment.store.swarm.agents(ROLE, idle=True)) == 4, what="four idle agents")


def test_a_worker_whose_wall_clock_is_wrong_and_jumps_does_its_work_in_time(deployment: Any, tmp_path: Path) -> None:
    offset = tmp_path / "offset"

    def set_clock(seconds: int) -> None:
        offset.with_suffix(".new").write_text(str(seconds))
        offset.with_suffix(".new").replace(offset)

    def renewed(times: int) -> None:
        for _ in range(times):
            before = deployment.runs(key)[0].lease_until
            deployment.until(lambda: deployment.runs(key)[0].lease_until > before, what="a renewal")  # noqa: B023

    set_clock(600)
    environment = deployment.environment
    deployment.environment = environment | {
        "PYTHONPATH": f"{WRONG_CLOCK}{os.pathsep}{environment['PYTHONPATH']}",
        "WALL_CLOCK_OFFSET": str(offset),
    }
    deployment.start_worker("clock", role_queue(CLOCK_ROLE), concurrency=1)
    deployment.environment = environment
    deployment.await_workers("clock")
    description, gate = gated_work(deployment, "clock-1")
    description += "```sh\nsleep 1\n```\n"  # it says that it has passed the gate, and has something left to do
    document = {"id": "clock-1", "title": "Clock", "description": description, "labels": [f"role:{CLOCK_ROLE}"]}
    began = deployment.ask("SELECT clock_timestamp()")
    (key,) = deployment.import_beads({**document, "metadata": {"timeout": "5m"}})
    deployment.await_running(key)
    renewed(1)
    set_clock(-600)
    renewed(2)
    set_clock(1200)  # ten minutes more than at the start: twice the run's limit
    renewed(3)
    (run,) = deployment.runs(key)
    now = deployment.ask("SELECT clock_timestamp()")
    assert began < run.started_at < now < run.lease_until < now + timedelta(seconds=3)
    assert run.deadline_at - run.started_at == timedelta(minutes=5)
    gate.touch()
    deployment.await_status(key, "closed")
    (run,) = deployment.runs(key)
    assert isinstance(run.outcome, Completed)
    assert run.reported_at < deployment.ask("SELECT clock_timestamp()")
    assert deployment.story(key) == STORY
    deployment.terminate("clock")
