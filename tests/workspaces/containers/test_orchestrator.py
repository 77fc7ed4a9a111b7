"""Containers of a project on a real engine: what a command may do in one, and that none is left."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dispatch.errors import ConfigurationError, ContainerError
from dispatch.models.identity import ProjectId, RunId
from dispatch.workspaces import ContainerOrchestrator, RunningContainer
from tests.podman import IMAGE, Podman

SHOP = ProjectId("shop")
LIMIT = 60.0
Orchestrate = Callable[..., ContainerOrchestrator]

HOLDER = """
import os, sys, time
from pathlib import Path
from dispatch.settings import Settings
from dispatch.workspaces import ContainerOrchestrator
home, engine, image, worktree = sys.argv[1:]
values = {"home": home, "containers": {"engine": engine}, "projects": {"shop": {"image": image, "memory": "64m"}}}
containers = ContainerOrchestrator(Settings.model_validate(values))
started = containers.start("shop", Path(worktree))
print(started.container.id, containers.create("shop", Path(worktree)).id, flush=True)
time.sleep(600)
"""
"""A process that starts a container, makes another, and then waits for its end."""


@pytest.fixture
def running(orchestrate: Orchestrate, worktree: Path) -> Iterator[RunningContainer]:
    containers = orchestrate()
    running = containers.start(SHOP, worktree)
    yield running
    containers.stop(running)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def test_a_command_works_in_the_worktree_as_somebody_who_is_not_root(
    orchestrate: Orchestrate, worktree: Path, podman: Podman
) -> None:
    command = "id -u; pwd; echo new > src/code.txt; echo made > made; cat link; echo bad >&2; exit 3"

    finished = orchestrate().run(SHOP, worktree, ["sh", "-c", command], timeout=LIMIT)

    uid, directory, *rest = finished.output.decode().splitlines()
    assert (finished.code, directory, rest[-1]) == (3, "/workspace", "bad")
    assert int(uid) != 0
    assert "outside" not in finished.output.decode(), "what a link leads to is not there"
    assert (worktree / "src" / "code.txt").read_text() == "new\n"
    assert (worktree / "made").stat().st_uid == int(uid)
    assert (worktree.parent / "outside.txt").stat().st_uid == os.geteuid(), "links are not followed"
    assert podman.containers() == {}


def test_a_command_that_outlasts_its_time_is_killed_and_the_next_one_runs_in_the_same_container(
    orchestrate: Orchestrate, running: RunningContainer
) -> None:
    containers = orchestrate()
    stubborn = "trap '' TERM; sh -c 'sleep 500' & sleep 600"

    late = containers.exec(running, ["sh", "-c", stubborn], timeout=2)
    after = containers.exec(running, ["ps", "-o", "args"], timeout=LIMIT)

    assert late.code is None
    assert after.code == 0
    assert b"sleep" not in after.output


def test_a_command_ends_with_its_program_though_what_it_leaves_has_its_output_open(
    orchestrate: Orchestrate, running: RunningContainer
) -> None:
    """Engines differ in whether they wait for that: nobody else does."""
    finished = orchestrate().exec(running, ["sh", "-c", "echo before; sleep 600 & exit 3"], timeout=LIMIT)
    assert (finished.code, finished.output) == (3, b"before\n")


def test_only_the_end_of_the_output_is_kept_and_the_environment_is_what_is_given(
    orchestrate: Orchestrate, running: RunningContainer
) -> None:
    containers = orchestrate()
    told = containers.exec(running, ["env"], timeout=LIMIT, env={"GIVEN": "yes"})
    long = containers.exec(running, ["sh", "-c", "seq 1 20000; echo end"], timeout=LIMIT, keep=8)

    lines = told.output.decode().split("\n")
    assert {"GIVEN=yes", "HOME=/home/agent"} <= set(lines)
    assert not [line for line in lines if line.startswith("DISPATCH")]
    assert long.output == b"000\nend\n"


def test_a_program_that_the_image_does_not_have_is_told_by_its_code(
    orchestrate: Orchestrate, running: RunningContainer
) -> None:
    finished = orchestrate().exec(running, ["no-such-program"], timeout=LIMIT)
    assert finished.code in (126, 127)
    assert b"no-such-program" in finished.output


def test_a_container_ends_with_the_process_that_started_it_whatever_kills_that(
    orchestrate: Orchestrate, worktree: Path, podman: Podman
) -> None:
    """Given a process with a running container and one that it only made."""
    arguments = (str(worktree.parent / "home"), podman.address, IMAGE, str(worktree))
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    started, made = holder.stdout.readline().split()
    containers = orchestrate()
    assert containers.collect(lambda _: False) == [], "their process lives"

    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()

    until(lambda: started not in podman.containers(), "the end of the container")
    assert orchestrate(home="another").collect(lambda _: False) == [], "it is another deployment's"
    assert containers.collect(lambda _: True) == [made]
    assert podman.containers() == {}


def test_the_containers_of_runs_are_collected_when_nobody_wants_them(
    orchestrate: Orchestrate, worktree: Path, podman: Podman
) -> None:
    containers = orchestrate()
    wanted, ended, previous = (RunId(uuid4()) for _ in range(3))
    made = {run: containers.create(SHOP, worktree, run_id=run).id for run in (wanted, ended, previous)}
    somebodys = podman.call("create", "--network", "none", IMAGE, "true").stdout.strip()

    assert containers.end_run(previous)
    assert not containers.end_run(previous)
    assert containers.collect(lambda run: run == wanted) == [made[ended]]
    assert set(podman.containers()) == {made[wanted], somebodys}
    assert containers.collect(lambda _: False) == [made[wanted]]
    podman.call("rm", somebodys)


def test_stopping_twice_does_nothing_more(orchestrate: Orchestrate, worktree: Path, podman: Podman) -> None:
    containers = orchestrate()
    running = containers.start(SHOP, worktree)
    assert len(podman.containers()) == 1
    containers.stop(running)
    containers.stop(running)
    assert podman.containers() == {}
    with pytest.raises(ContainerError):
        containers.exec(running, ["true"], timeout=LIMIT)


@pytest.mark.parametrize("network", [False, True])
def test_there_is_a_network_only_where_the_project_allows_it(
    orchestrate: Orchestrate, worktree: Path, podman: Podman, network: bool
) -> None:
    container = orchestrate(network=network).create(SHOP, worktree)
    told = podman.call("inspect", "--format", "{{.HostConfig.NetworkMode}}", container.id).stdout.strip()
    orchestrate().remove(container)
    assert (told == "none") is not network


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"memory": "64m", "pids": 32, "cpus": 0.5}, [64 << 20, 64 << 20, 500_000_000, 32]),
        ({"memory": 0, "pids": 0, "cpus": 0}, [0, 0, 0]),
    ],
)
def test_the_engine_is_told_the_limits_and_a_limit_of_nothing_is_none(
    orchestrate: Orchestrate, worktree: Path, podman: Podman, limits: dict[str, object], told: list[int]
) -> None:
    containers = orchestrate(**limits)
    container = containers.create(SHOP, worktree)
    (inspected,) = json.loads(podman.call("inspect", container.id).stdout)
    containers.remove(container)
    found = [inspected["HostConfig"][name] for name in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit")]
    assert found[: len(told)] == told


def test_an_image_that_is_not_there_is_named_with_the_cure(orchestrate: Orchestrate, worktree: Path) -> None:
    with pytest.raises(ContainerError, match=r"has no image 'nobodys:1', which \[projects.shop\] names") as caught:
        orchestrate(image="nobodys:1").start(SHOP, worktree)
    assert caught.value.cause == "no image"


def test_a_project_without_an_image_gets_no_container(orchestrate: Orchestrate, worktree: Path) -> None:
    with pytest.raises(ConfigurationError, match="the project other has no image"):
        orchestrate().start(ProjectId("other"), worktree)
    assert orchestrate().has_image(SHOP)
    assert not orchestrate().has_image(ProjectId("other"))
