"""A run that overruns its limit is ended, its work kept, and gone on from; and what stands behind the runner's limit.

The limits of Celery are short here (soft a third of 9 s after the run's own limit, hard 9 s after it), and heartbeats
rare, so that nothing but the limit under test can end a run.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Completed, TimedOut
from dispatch.models.queues import role_queue
from dispatch.models.states import RunState

PREFORK_ROLE, THREADS_ROLE, CHATTY_ROLE = "backend-engineer", "threader", "chatterer"
TIMES = 'tick_interval = "1s"\nheartbeat = "5s"\nlease = "11s"\nhard_grace = "9s"'
pytestmark = pytest.mark.xdist_group("walk-limits")

CHATTER = """
import json, os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
attempt = json.loads(pathlib.Path(os.environ["DISPATCH_ASSIGNMENT"]).read_text())["attempt"]
pathlib.Path("wip.txt").write_text(f"attempt {attempt}\\n")
if attempt == 1:
    event = json.dumps({"type": "action", "action_type": "command", "action_data": {"command": "ls"}, "result": ""})
    sys.stdout.write((event + "\\n") * 20)
    sys.stdout.flush()
    time.sleep(600)
"""
"""An agent that does not hear SIGTERM and says at once as much as is written to the database in one go."""

OVERRUN = """```file wip.txt
wip
```
```sh attempt=1
sleep 600 & echo $! > pids.part
(sleep 600 & echo $! >> pids.part; wait) &
while [ "$(wc -l < pids.part)" != 2 ]; do sleep 0.01; done
mv pids.part pids.txt
wait
```
```file done.txt
done
```
"""


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Given an agent worker on each pool."""
    chatter = tmp_path_factory.mktemp("agents") / "chatter.py"
    chatter.write_text(CHATTER)
    extra = f"""
[roles.{THREADS_ROLE}]
runners = ["literal"]
[roles.{CHATTY_ROLE}]
runners = ["chatter"]
[runners.chatter]
kind = "command"
argv = [{json.dumps(sys.executable)}, {json.dumps(str(chatter))}]
"""
    deployment = deploy(times=TIMES, extra=extra)
    deployment.start_worker("prefork", f"{role_queue(PREFORK_ROLE)},{role_queue(CHATTY_ROLE)}")
    deployment.start_worker("threads", role_queue(THREADS_ROLE), pool="threads")
    deployment.start_services()
    deployment.await_workers("prefork", "threads", "services")
    return deployment


def limited(deployment: Any, *bead_ids: str, role: str, description: str) -> list[BeadKey]:
    """Add beads whose runs may take a second."""
    documents = [
        {
            "id": bead_id,
            "title": bead_id,
            "description": description.replace(".txt", f"-{bead_id}.txt"),
            "labels": [f"role:{role}"],
            "metadata": {"timeout": "1s"},
        }
        for bead_id in bead_ids
    ]
    return deployment.import_beads(*documents)  # type: ignore[no-any-return]


@pytest.mark.parametrize("role", [PREFORK_ROLE, THREADS_ROLE])
def test_at_its_limit_everything_a_run_started_is_ended_and_its_work_is_gone_on_from(
    deployment: Any, role: str
) -> None:
    keys = limited(deployment, f"{role}-1", f"{role}-2", role=role, description=OVERRUN)
    for key in keys:
        deployment.await_status(key, "closed")
        first, second = deployment.runs(key)
        assert first.outcome == TimedOut(limit_seconds=1)
        pids = deployment.git("show", f"{first.commit_sha}:pids-{key.bead_id}.txt").split()
        assert len(pids) == 2
        assert not [pid for pid in (*map(int, pids), first.process_group) if psutil.pid_exists(pid)]

        assert deployment.git("show", f"{first.commit_sha}:wip-{key.bead_id}.txt") == "wip"
        assert second.base_sha == first.commit_sha
        assert isinstance(second.outcome, Completed)
        assert (deployment.repository / f"done-{key.bead_id}.txt").exists()
        (error,) = deployment.store.reading.errors(key)
        assert error.error.startswith("timed out after 1 s")
    started = [deployment.runs(key)[0].started_at for key in keys]
    reported = [deployment.runs(key)[0].reported_at for key in keys]
    assert max(started) < min(reported), "both ran at once, on two agents of one worker"


@contextmanager
def locked_actions(deployment: Any) -> Iterator[None]:
    """Keep everybody from writing actions."""
    with deployment.store.engine.connect() as connection:
        connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        connection.execute(text("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE"))
        yield


def hard_limits(deployment: Any) -> int:
    """Return how often Celery ended a pool process of the prefork worker by force."""
    return deployment.log("prefork").read_text().count("Hard time limit")  # type: ignore[no-any-return]


def test_the_soft_limit_ends_a_run_whose_worker_hangs_in_the_database(deployment: Any) -> None:
    hard = hard_limits(deployment)
    with locked_actions(deployment):
        (key,) = limited(deployment, "soft-1", role=CHATTY_ROLE, description="-")
        run = deployment.await_running(key)
        deployment.await_file(run, "wip.txt")
        deployment.until(lambda: not psutil.pid_exists(run.process_group), what="the agent to be ended")
    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert first.outcome == TimedOut(limit_seconds=1, summary="Celery's limit ended it.")
    assert (first.reported_at - first.started_at).total_seconds() > 3
    assert deployment.git("show", f"{first.commit_sha}:wip.txt") == "attempt 1"
    assert second.base_sha == first.commit_sha
    assert hard_limits(deployment) == hard


def test_behind_the_hard_limit_the_lease_ends_a_run_whose_process_is_stopped(deployment: Any) -> None:
    hard = hard_limits(deployment)
    (key,) = limited(deployment, "hard-1", role=PREFORK_ROLE, description=OVERRUN)
    run = deployment.await_running(key)
    deployment.await_file(run, "pids-hard-1.txt")
    agent = psutil.Process(run.process_group)
    family = [agent, *agent.children(recursive=True)]
    guard = agent.parent()
    (child,) = [process for process in deployment.agent_processes("prefork") if guard in process.children()]
    child.send_signal(signal.SIGSTOP)

    # Celery kills the stopped process; with it the guard loses its worker, and ends the agent.
    _, alive = psutil.wait_procs([child, *family], timeout=20)
    assert not alive
    assert hard_limits(deployment) == hard + 1

    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert isinstance(first.outcome, TimedOut)
    assert first.commit_sha is None
    assert deployment.git("show", f"{second.commit_sha}:wip-hard-1.txt") == "wip"
    assert second.state is RunState.SETTLED
    assert (deployment.repository / "done-hard-1.txt").exists()
