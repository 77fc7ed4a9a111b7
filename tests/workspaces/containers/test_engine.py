"""Finding the engine of a host, and what is told of one that is not there."""

import os
import socket
from pathlib import Path

import pytest

from dispatch.errors import ContainerError
from dispatch.workspaces.containers.engine import Engine, read_facts
from tests.podman import Podman


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "CONTAINER_HOST", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


def failing(configured: str = "") -> ContainerError:
    with pytest.raises(ContainerError) as caught:
        Engine.open(configured)
    assert caught.value.cause == "no engine"
    return caught.value


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "CONTAINER_HOST"])
def test_the_environment_may_name_it(podman: Podman, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, podman.address)
    engine = Engine.open()
    try:
        facts = engine.facts()
    finally:
        engine.close()
    assert engine.address == podman.address
    assert str(facts).startswith("Podman ")
    assert {"memory", "pids", "cpus"} >= facts.limits


@pytest.mark.parametrize(
    ("info", "rootless", "remaps", "limits"),
    [
        ({}, False, False, set()),
        ({"SecurityOptions": None, "Rootless": True}, True, False, set()),
        ({"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}, True, False, set()),
        ({"SecurityOptions": ["name=userns"], "MemoryLimit": True}, False, True, {"memory"}),
        ({"MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": False}, False, False, {"memory", "pids"}),
    ],
)
def test_an_engine_says_what_it_is(info: dict[str, object], rootless: bool, remaps: bool, limits: set[str]) -> None:
    facts = read_facts(info, is_podman=True)
    assert (facts.rootless, facts.remaps_users, facts.limits) == (rootless, remaps, limits)


def test_an_engine_of_another_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert "DOCKER_HOST names tcp://127.0.0.1:1" in str(failing())


def test_the_sockets_that_were_looked_for_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_321)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    told = str(failing())
    for path in (tmp_path / "podman" / "podman.sock", "/var/run/docker.sock", "/run/podman/podman.sock"):
        assert str(path) in told


def test_a_socket_that_nobody_listens_on_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
    assert f"unix://{path} does not answer" in str(failing(f"unix://{path}"))
