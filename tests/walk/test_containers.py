"""Beads through the queue whose agents and tests run in containers, one of them over the death of its worker."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.podman import IMAGE, Podman

ROLE = "boxed"
AGENT = """
[ "$(id -u)" != 0 ] || exit 9
name=$(sed -n 's/.*"id":"\\(shop-[0-9]\\)".*/\\1/p' "$DISPATCH_ASSIGNMENT")
echo work >> "$name.txt"
if [ "$name" = shop-2 ] && grep -q '"attempt":1' "$DISPATCH_ASSIGNMENT"; then
    while :; do echo again >> writing.txt; sleep 0.05; done
fi
"""
CONFIGURATION = """
image = {image}
memory = "64m"
test_command = ["sh", "-c", "ls shop-*.txt"]
[containers]
engine = {engine}
[runners.boxed]
kind = "command"
argv = ["sh", "boxed.sh"]
isolation = "container"
[roles.boxed]
runners = ["boxed"]
"""
pytestmark = pytest.mark.xdist_group("walk-containers")


@pytest.fixture(scope="module")
def deployment(podman: Podman, deploy: Callable[..., Any]) -> Any:
    """Given a deployment at work whose agents are scripts in containers."""
    deployment = deploy(extra=CONFIGURATION.format(image=json.dumps(IMAGE), engine=json.dumps(podman.address)))
    (deployment.directory / "boxed.sh").write_text(AGENT)
    deployment.start_worker("boxed", f"role.{ROLE}", concurrency=1)
    deployment.start_services()
    deployment.await_workers("boxed", "services")
    return deployment


def bead(bead_id: str) -> dict[str, Any]:
    return {"id": bead_id, "title": "Work in a box", "labels": [f"role:{ROLE}"]}


def test_a_bead_goes_all_the_way_in_containers(deployment: Any, podman: Podman) -> None:
    (key,) = deployment.import_beads(bead("shop-1"))
    deployment.await_status(key, "closed")
    assert deployment.git("show", "main:shop-1.txt") == "work"
    assert podman.containers() == {}


def test_the_container_of_a_killed_worker_is_gone_at_once_and_its_bead_goes_on(deployment: Any, podman: Podman) -> None:
    (key,) = deployment.import_beads(bead("shop-2"))
    first = deployment.await_running(key)
    written = deployment.await_file(first, "writing.txt")

    deployment.kill("boxed")

    deployment.until(lambda: podman.containers() == {}, what="the end of the container")
    size = written.stat().st_size
    time.sleep(0.3)
    assert written.stat().st_size == size, "nothing writes any more"
    deployment.start_worker("boxed-again", f"role.{ROLE}", concurrency=1)
    deployment.await_status(key, "closed")
    assert [run.outcome.kind for run in deployment.runs(key)] == ["lost", "completed"]
    assert deployment.git("show", "main:shop-2.txt") == "work\nwork", "the second run goes on from what the first left"
    assert "again" in deployment.git("show", "main:writing.txt")
    assert podman.containers() == {}
