"""The program that holds a container for its commands: what one of them leaves there, and its own end."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dispatch.models.identity import ProjectId
from dispatch.settings import ModelLimits, ProviderSettings, Settings
from dispatch.workspaces import ContainerOrchestrator
from dispatch.workspaces.containers import Container
from tests.model_server import call
from tests.podman import IMAGE, Podman
from workers.runners.container_order import ORDER_VARIABLE, Order
from workers.runners.environment import ASSIGNMENT_VARIABLE, PROMPT_VARIABLE
from workers.runners.llm.boxed import boxed
from workers.runners.llm.configuration import ModelRun
from workers.runners.run_files import write_assignment, write_model_run, write_prompt

PATIENCE = 60.0


@pytest.fixture
def container(podman: Podman, stage: Any, tmp_path: Path) -> Iterator[Container]:
    """Given a container of a run that is not started yet."""
    values = {
        "home": tmp_path / "home",
        "containers": {"engine": podman.address},
        "projects": {"shop": {"image": IMAGE, "memory": "64m", "pids": 24}},
    }
    containers = ContainerOrchestrator(Settings.model_validate(values))
    container = containers.create(ProjectId("shop"), stage.context.assignment.workspace)
    yield container
    containers.remove(container)


def test_what_fills_its_container_with_processes_is_killed_with_its_command(
    container: Container, tmp_path: Path
) -> None:
    """The shell ends where it cannot start one more, and leaves no room for a program of ours either."""
    filling = "exec > /dev/null 2>&1; while :; do sleep 300 & done"
    limit = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2> /dev/null"
    with boxed(Order(container, {"PATH": "/bin"}, tmp_path / "trouble")) as execute:
        execute(["sh", "-c", filling], PATIENCE)
        told = execute(["ps", "-o", "args"], PATIENCE)
        assert told.code == 0
        assert "sleep 300" not in told.output
        assert execute(["sh", "-c", limit], PATIENCE).output.split() == ["24"]


def test_it_ends_with_its_guard_and_its_container_with_it(
    container: Container, stage: Any, endpoint: Any, podman: Podman, tmp_path: Path
) -> None:
    """The one that started it is killed while a command of the model runs, and nobody else is there to end it."""
    endpoint.play(call("run_command", command="echo > started; exec sleep 600"))
    provider = ProviderSettings.model_validate(endpoint.provider())
    run = ModelRun.of("main", provider, ModelLimits(), contained=True)
    told = {
        ORDER_VARIABLE: Order(container, {}, tmp_path / "trouble").written(),
        ASSIGNMENT_VARIABLE: str(write_assignment(stage.context)),
        PROMPT_VARIABLE: str(write_prompt(stage.context)),
    }
    program = [
        sys.executable,
        "-I",
        "-m",
        "workers.runners.llm",
        str(write_model_run(stage.context, run.model_dump_json())),
    ]
    with subprocess.Popen(
        ["sh", "-c", '"$@" & wait', "sh", *program], env=os.environ | told, stdout=subprocess.DEVNULL
    ) as guard:
        until((stage.context.assignment.workspace / "started").exists, "the command of the model")
        (child,) = psutil.Process(guard.pid).children()
        guard.kill()

    until(lambda: container.id not in podman.containers(), "the end of the container")
    until(lambda: not child.is_running(), "the end of the program")


def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
