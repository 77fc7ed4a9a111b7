"""Agent programs that misbehave go through the queue, and harm nothing but their own run."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from dispatch.models.states import RunState
from workers.runners.transcript import MAX_LOG

pytestmark = pytest.mark.xdist_group("programs")

AGENT = Path(__file__).parent / "wild_agent.py"


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any]) -> Any:
    argv = json.dumps([sys.executable, str(AGENT)])
    runner = f'[runners.wild]\npreset = "any"\nargv = {argv}\nenv = ["CHECKOUT"]\nsilence_limit = "3s"\n'
    deployment = deploy(extra=f'{runner}[roles.wild]\nrunners = ["wild"]\n')
    deployment.environment["CHECKOUT"] = str(deployment.repository)
    deployment.start_worker("agents", "role.wild", concurrency=2)
    deployment.start_services()
    deployment.await_workers("agents", "services")
    return deployment


@pytest.fixture
def misbehave(deployment: Any) -> Callable[[str], tuple[Any, Any]]:
    """Given a way to let an agent do what it should not; it returns the bead and its first run, which is settled."""

    def let(what: str) -> tuple[Any, Any]:
        (key,) = deployment.import_beads({"id": f"shop-{what}", "title": what, "labels": ["role:wild"]})

        def is_settled() -> bool:
            runs = deployment.runs(key)
            return bool(runs) and runs[0].state is RunState.SETTLED

        deployment.until(is_settled, what=f"the run that {what} to be settled")
        return key, deployment.runs(key)[0]

    return let


def test_a_program_that_loops_is_stopped_and_its_bead_goes_on(deployment: Any, misbehave: Any) -> None:
    key, run = misbehave("loops")

    assert run.outcome.kind == "looped"
    assert "make test" in run.outcome.reason
    deployment.await_status(key, "closed")


def test_a_program_that_never_answers_is_stopped_and_its_bead_goes_on(deployment: Any, misbehave: Any) -> None:
    key, run = misbehave("never_answers")

    assert (run.outcome.kind, run.outcome.cause) == ("failed", "silent")
    deployment.await_status(key, "closed")


def test_the_question_of_a_program_that_waits_for_input_comes_to_a_human(deployment: Any, misbehave: Any) -> None:
    key, run = misbehave("waits_for_input")

    assert run.outcome.kind == "needs_input"
    assert run.outcome.question.endswith("Overwrite the file? [y/N]")
    assert [entry.decision.bead_id for entry in deployment.store.decisions.inbox()] == [key.bead_id]


def test_a_program_that_floods_its_output_does_its_work_and_leaves_a_bounded_log(
    deployment: Any, misbehave: Any
) -> None:
    key, run = misbehave("floods")

    assert run.outcome.kind == "completed"
    deployment.await_status(key, "closed")
    log = deployment.system.runs_directory / str(run.id) / "agent.log"
    assert log.stat().st_size <= MAX_LOG + 200
    assert deployment.git("show", "main:flood.txt") == "It is over."


def test_a_daemon_does_not_outlive_the_run_that_forked_it(deployment: Any, misbehave: Any) -> None:
    key, run = misbehave("leaves_a_daemon")

    assert run.outcome.kind == "completed"
    deployment.await_status(key, "closed")
    pid = int(deployment.git("show", "main:daemon.pid"))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).create_time() > run.settled_at.timestamp()


def test_nothing_that_is_written_outside_of_the_worktree_is_committed_or_lands(deployment: Any, misbehave: Any) -> None:
    key, run = misbehave("writes_outside")

    assert run.outcome.kind == "completed"
    deployment.await_status(key, "closed")
    assert deployment.git("show", "main:inside.txt") == "inside"
    assert deployment.git("show", "--format=%s", "--name-only", "main").splitlines() == [
        "writes_outside",
        "",
        "inside.txt",
    ]
    assert deployment.git("show", "main:README.md") == "A project."
    assert deployment.git("rev-parse", "HEAD") == deployment.git("rev-parse", "main"), (
        "nobody committed to the checkout"
    )
    assert set(deployment.git("status", "--porcelain").splitlines()) >= {"M README.md", "?? stray.txt"}
