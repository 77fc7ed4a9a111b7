"""What goes wrong between real processes, and that nothing is lost, doubled or forgotten by it."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psutil
import pytest

from dispatch.bus.celery import ERRBACK_TASK, RUN_TASK, SETTLE_TASK, TICK_TASK
from dispatch.models.dispatching import Handover, Placement
from dispatch.models.identity import BeadKey
from dispatch.models.messages import TaskMessage
from dispatch.models.outcome import Cancelled, Lost
from dispatch.models.queues import CONTROL_QUEUE, role_queue
from dispatch.models.run import Run
from dispatch.models.states import RunState
from workers.settling import collect_worktrees

ROLE = "backend-engineer"
STORY = ["run.claimed", "run.started", "run.reported", "run.settled", "bead.landing", "bead.closed"]
pytestmark = pytest.mark.xdist_group("walk-faults")


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any]) -> Any:
    """Given two agent workers of two agents each, and the services."""
    deployment = deploy()
    deployment.start_worker("one", role_queue(ROLE))
    deployment.start_worker("two", role_queue(ROLE))
    deployment.start_services()
    deployment.await_workers("one", "two", "services")
    return deployment


def work(name: str) -> str:
    """Describe work that writes a file of that name."""
    return f"```file {name}.txt\n{name}\n```\n"


def interrupted_work(name: str) -> str:
    """Describe work of which the first attempt writes a file and then waits, and a later one writes another file."""
    return f"```file {name}-wip.txt\nwip\n```\n```sleep 600 attempt=1\n```\n{work(name)}"


def message_of(run: Run) -> TaskMessage:
    return TaskMessage(
        run_id=run.id,
        step_id=run.step_id,
        project_id=run.project_id,
        bead_id=run.bead_id,
        role=run.role,
        attempt=run.attempt,
        timeout_seconds=run.timeout.total_seconds(),
    )


def claim(deployment: Any, key: BeadKey, agents: int = 1) -> Handover:
    """Claim a bead for so many agents, as a tick would, without handing it over."""
    with deployment.store.dispatching.round() as round_:
        chosen = round_.supply().agents[:agents]
        assert len(chosen) == agents
        placement = Placement(bead=key, agents=chosen, role=ROLE, timeout=timedelta(minutes=1), reason="A test.")
        (handover,) = round_.claim([placement])
    return handover  # type: ignore[no-any-return]


def claimed_by_hand(deployment: Any, bead_id: str, description: str, agents: int = 1) -> tuple[BeadKey, Handover]:
    """Add a bead that no tick takes, since nobody serves the role it asks for, and claim it."""
    document = {"id": bead_id, "title": bead_id, "description": description, "labels": ["role:by-hand"]}
    (key,) = deployment.import_beads(document)
    return key, claim(deployment, key, agents)


def handled(deployment: Any, task: str, event: str = "succeeded") -> int:
    """Return how many tasks of a name the services have handled."""
    lines = deployment.log("services").read_text().splitlines()
    return sum(f"Task {task}[" in line and event in line for line in lines)


def await_handled(deployment: Any, task: str, count: int) -> None:
    deployment.until(lambda: handled(deployment, task) >= count, what=f"{count} {task} to be handled")


def state_of(deployment: Any, key: BeadKey) -> tuple[Any, ...]:
    """Return everything that a delivery could change; that one was refused is noted beside it."""
    return deployment.bead(key), deployment.runs(key), deployment.story(key), deployment.git("rev-parse", "main")


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

    def refused() -> list[Any]:
        events = deployment.store.reading.events_after(0, limit=10_000)
        return [event for event in events if event.kind == "run.start_refused" and event.run_id == run.id]

    deployment.until(lambda: len(refused()) == 2, what="both doubled orders to be refused")
    assert {event.data["reason"] for event in refused()} == {"it is settled"}
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
