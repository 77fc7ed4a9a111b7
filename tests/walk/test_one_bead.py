"""One bead through every room, by the stock commands: imported, dispatched, worked on, settled, landed, exported."""

from collections.abc import Callable
from typing import Any

import pytest

ROLE = "backend-engineer"
pytestmark = pytest.mark.xdist_group("walk-one")


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any]) -> Any:
    """Given a deployment at work, of which a new pool process is forked for each run."""
    deployment = deploy()
    deployment.start_worker("agents", f"role.{ROLE}", "--max-tasks-per-child", "1", concurrency=1)
    deployment.start_services()
    deployment.await_workers("agents", "services")
    return deployment


def test_a_bead_and_its_dependent_go_all_the_way(deployment: Any, walk: Any) -> None:
    first, second, check = walk
    base = deployment.git("rev-parse", "main")
    _, last = deployment.import_beads(first, second)
    deployment.await_status(last, "closed")
    check(deployment, base)


def test_a_bead_that_fails_is_tried_again_from_where_it_was_and_knows_its_errors(deployment: Any) -> None:
    description = "```file kept.txt\nkept\n```\n```fail attempt=1\nnot today\n```\n"
    (key,) = deployment.import_beads({"id": "shop-3", "title": "Fails once", "description": description})
    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert (first.outcome.kind, second.outcome.kind) == ("failed", "completed")
    assert second.base_sha == first.commit_sha
    assert [error.error.splitlines()[0] for error in deployment.store.reading.errors(key)] == ["failed: not today"]
    assert deployment.bead(key).failures == 0


def test_an_agent_that_goes_round_in_circles_is_stopped_and_its_bead_tried_again(deployment: Any) -> None:
    """Its failing test takes another time each time; without an end by force it would sleep until its limit."""
    again = "```sh attempt=1\necho 1 failed in 0.$(date +%N)s\n```\n"
    description = f"```file kept.txt\nround and round\n```\n{again * 13}```sleep 600 attempt=1\n```\n"
    (key,) = deployment.import_beads({"id": "shop-4", "title": "Goes round", "description": description})
    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert (first.outcome.kind, second.outcome.kind) == ("looped", "completed")
    assert first.outcome.reason.startswith("It did `command echo 1 failed in 0.$(date +%N)s` 13 times with the same")
    assert deployment.git("show", f"{first.commit_sha}:kept.txt") == "round and round"
    assert second.base_sha == first.commit_sha
    assert deployment.bead(key).commits.count == 1
