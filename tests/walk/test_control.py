"""What a human and a signal do to running agents, between real processes: cancel, stop, SIGTERM, SIGQUIT.

The heartbeat is longer than any test waits: what reaches an agent here reached it by the call to its worker.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from dispatch import controlling
from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Cancelled
from dispatch.models.queues import role_queue
from dispatch.models.run import Run
from dispatch.models.states import RunState

STUBBORN, OBEDIENT = "stubborn", "obedient"
AGENT = """
import json, os, pathlib, signal, sys, time

obeys = sys.argv[1] == "obedient"
assignment = json.loads(pathlib.Path(os.environ["DISPATCH_ASSIGNMENT"]).read_text())
attempt, place = assignment["attempt"], pathlib.Path(assignment["bead"]["id"])
place.mkdir(exist_ok=True)

def told(number, frame):
    (place / "told.txt").write_text(repr(time.time()))
    if obeys:
        sys.exit(0)

signal.signal(signal.SIGTERM, told)
(place / f"attempt-{attempt}.txt").write_text("begun")
while attempt == 1 or not obeys:
    time.sleep(0.05)
print(json.dumps({"type": "result", "outcome": "completed", "summary": "Done."}), flush=True)
"""
"""Works until it is told to stop, and notes when that was. The stubborn one goes on all the same."""
TIMES = 'tick_interval = "1s"\nheartbeat = "60s"\nlease = "125s"\ngrace = "1s"'
WITHIN = 2.0
"""Seconds within which a cancel reaches a running agent. Source: SPEC, "Lifecycle"."""
ROUNDS = 5
pytestmark = pytest.mark.xdist_group("walk-control")


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Given two workers with an agent each for both kinds, and the services."""
    agent = tmp_path_factory.mktemp("agent") / "agent.py"
    agent.write_text(AGENT)
    extra = "".join(
        f'[runners.{kind}]\nkind = "command"\nargv = {json.dumps([sys.executable, str(agent), kind])}\n'
        f'[roles.{kind}]\nrunners = ["{kind}"]\n'
        for kind in (STUBBORN, OBEDIENT)
    )
    deployment = deploy(times=TIMES, extra=extra)
    start(deployment, "one")
    start(deployment, "two")
    deployment.start_services()
    deployment.await_workers("services")
    return deployment


def start(deployment: Any, name: str) -> None:
    deployment.start_worker(name, f"{role_queue(STUBBORN)},{role_queue(OBEDIENT)}", concurrency=1)
    deployment.await_workers(name)


def works_on(deployment: Any, bead_id: str, kind: str) -> tuple[BeadKey, Run]:
    """Import a bead, and wait until its agent is at work."""
    (key,) = deployment.import_beads({"id": bead_id, "title": bead_id, "labels": [f"role:{kind}"]})
    return key, begun(deployment, key, 1)


def begun(deployment: Any, key: BeadKey, attempt: int) -> Run:
    run: Run = deployment.await_running(key, attempt=attempt)
    deployment.await_file(run, f"{key.bead_id}/attempt-{run.attempt}.txt")
    return run


def ended(deployment: Any, key: BeadKey, attempt: int = 1) -> Run:
    """Wait until a run of a bead is settled, and return it."""

    def is_settled() -> bool:
        runs = deployment.runs(key)
        return len(runs) >= attempt and runs[attempt - 1].state is RunState.SETTLED

    deployment.until(is_settled, what=f"run {attempt} of {key} to be settled")
    run: Run = deployment.runs(key)[attempt - 1]
    return run


def told_at(deployment: Any, run: Run) -> float:
    """When the agent of a run was told to stop, as its committed work says."""
    return float(deployment.git("show", f"{run.commit_sha}:{run.bead_id}/told.txt"))


def test_a_cancel_reaches_an_agent_within_two_seconds_and_its_bead_waits_for_a_retry(deployment: Any) -> None:
    # One round is enough on a machine that has the time. Each of them proves that no heartbeat was waited for.
    took = []
    for number in range(1, ROUNDS + 1):
        key, run = works_on(deployment, f"cancel-{number}", STUBBORN)
        called = datetime.now(UTC).timestamp()
        controlling.cancel(deployment.store, str(key), by="ada", reason="Not like this.")
        run = ended(deployment, key)
        took.append(told_at(deployment, run) - called)
        if took[-1] <= WITHIN:
            break
    assert min(took) <= WITHIN, took
    assert run.outcome == Cancelled(cause="cancel")
    assert not psutil.pid_exists(run.process_group or 0), "it ignored SIGTERM, and was killed after its grace"
    bead = deployment.bead(key)
    assert (bead.status, bead.hold, bead.hops, bead.failures) == ("open", "cancelled by ada: Not like this.", 0, 0)

    # Ticks go by, and it stays where it is; a retry lets it go on from its work at once.
    ticks = deployment.ask("SELECT wanted FROM ticker")
    assert deployment.system.tick.run().dispatched == 0
    assert deployment.ask("SELECT wanted FROM ticker") >= ticks
    controlling.reassign(
        deployment.store, deployment.system.settings, str(key), OBEDIENT, by="ada", now=datetime.now(UTC)
    )
    deployment.system.results.nudge()
    deployment.await_status(key, "closed")
    _, second = deployment.runs(key)
    assert (second.role, second.base_sha) == (OBEDIENT, run.commit_sha)


def test_sigterm_kills_who_ignores_it_after_the_grace_and_the_bead_goes_to_another_worker(deployment: Any) -> None:
    key, run = works_on(deployment, "term-1", STUBBORN)
    worker = run.agent_name.partition("@")[0]
    deployment.terminate(worker)
    first = ended(deployment, key)
    assert first.outcome == Cancelled(cause="handback")
    assert not psutil.pid_exists(run.process_group or 0)
    assert deployment.git("show", f"{first.commit_sha}:{key.bead_id}/attempt-1.txt") == "begun"
    second = begun(deployment, key, 2)
    assert not second.agent_name.startswith(f"{worker}@")
    assert second.base_sha == first.commit_sha
    bead = deployment.bead(key)
    assert (bead.hops, bead.failures, deployment.store.reading.errors(key)) == (0, 0, [])
    controlling.cancel(deployment.store, str(key), by="ada")
    ended(deployment, key, 2)
    start(deployment, worker)


def test_a_cold_shutdown_gives_its_runs_back_long_before_their_lease_is_over(deployment: Any) -> None:
    key, run = works_on(deployment, "quit-1", OBEDIENT)
    worker = run.agent_name.partition("@")[0]
    process = deployment.processes.pop(worker)
    os.kill(process.pid, signal.SIGQUIT)
    process.wait(40)
    first = ended(deployment, key)
    assert first.outcome is not None
    assert (first.outcome.kind, getattr(first.outcome, "cause", "")) == ("cancelled", "handback")
    assert first.reported_at is not None
    assert first.lease_until is not None
    assert first.reported_at < first.lease_until
    deployment.await_status(key, "closed")
    second = deployment.runs(key)[1]
    # What it had written was kept by the next attempt on this host.
    assert deployment.git("show", f"{second.commit_sha}:{key.bead_id}/attempt-1.txt") == "begun"
    assert (deployment.bead(key).hops, deployment.bead(key).failures) == (1, 0)
    start(deployment, worker)


def test_stop_now_ends_all_runs_and_resume_lets_them_go_on(deployment: Any) -> None:
    keys = [works_on(deployment, f"stop-{number}", OBEDIENT)[0] for number in (1, 2)]
    stopped = dispatch(deployment, "stop", "--now", "--json")
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stopped.stdout) == {"project": None, "withdrawn": 0, "running": 2}
    assert "Waiting for 2 run(s) to end." in stopped.stderr
    for key in keys:
        assert ended(deployment, key).outcome == Cancelled(cause="stop")
        assert deployment.bead(key).status == "open"
    assert deployment.system.tick.run().dispatched == 0

    assert dispatch(deployment, "resume").returncode == 0
    for key in keys:
        deployment.await_status(key, "closed")


def dispatch(deployment: Any, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call the command line on a deployment."""
    return subprocess.run(
        [sys.executable, "-c", "from dispatch.cli import main; main()", *arguments],
        cwd=deployment.directory,
        env=deployment.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
