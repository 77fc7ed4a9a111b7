"""A worker killed in the middle of a run, with the default times: the promise is made for those."""

import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from dispatch.models.messages import ResultMessage
from dispatch.models.outcome import Completed, Lost
from dispatch.models.queues import role_queue
from dispatch.models.states import RunState

ROLE = "backend-engineer"
pytestmark = pytest.mark.xdist_group("walk-sigkill")


def test_a_killed_workers_bead_runs_again_within_a_minute_and_finishes_once(deploy: Callable[..., Any]) -> None:
    deployment = deploy(times="")
    deployment.start_worker("one", role_queue(ROLE), concurrency=1)
    deployment.start_services()
    deployment.await_workers("one", "services")
    description = "```file wip.txt\nwip\n```\n```sleep 600 attempt=1\n```\n```file done.txt\ndone\n```\n"
    (key,) = deployment.import_beads({"id": "kill-1", "title": "Killed", "description": description})
    run = deployment.await_running(key)
    deployment.await_file(run, "wip.txt")
    deployment.start_worker("two", role_queue(ROLE), concurrency=1)
    deployment.await_workers("two")
    token = deployment.ask("SELECT token FROM runs WHERE id = :run", run=run.id)
    agent = psutil.Process(run.process_group)
    assert agent.is_running()

    deployment.kill("one")
    killed_at = time.monotonic()

    # Its guard ends the agent at once: nobody writes while the lease runs out.
    agent.wait(10)
    deployment.until(lambda: len(deployment.runs(key)) == 2, what="the second attempt", seconds=65)
    deployment.until(lambda: deployment.runs(key)[1].started_at is not None, what="its start")
    assert time.monotonic() - killed_at < 60

    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert isinstance(first.outcome, Lost)
    assert isinstance(second.outcome, Completed)
    assert second.agent_name == "two@here/1"

    # The dead attempt's late report is refused.
    late = ResultMessage(run_id=run.id, token=token, outcome=Completed(), commit_sha=first.base_sha)
    assert deployment.store.running.report(late) is False
    assert deployment.runs(key) == [first, second]
    kinds = deployment.kinds(key)
    assert kinds.count("run.settled") == 2
    assert kinds.count("bead.landing") == kinds.count("bead.closed") == 1
    assert {run.state for run in deployment.runs(key)} == {RunState.SETTLED}

    # What it had written before it died is part of what landed.
    assert (deployment.repository / "wip.txt").read_text() == "wip\n"
    assert (deployment.repository / "done.txt").read_text() == "done\n"
    assert deployment.bead(key).hops == 1
