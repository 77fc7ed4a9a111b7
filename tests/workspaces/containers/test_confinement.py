"""Who is who in a container, by the kind of engine and of worker, and limits that an engine cannot keep."""

import os
from pathlib import Path
from typing import Any

import pytest

from dispatch.errors import ContainerError
from dispatch.settings import ProjectSettings
from dispatch.workspaces.containers.confinement import Users, check_limits, choose_users, host_options
from dispatch.workspaces.containers.engine import EngineFacts

ALL_LIMITS = frozenset({"memory", "pids", "cpus"})


def facts(**options: Any) -> EngineFacts:
    told = {"is_podman": True, "version": "5", "rootless": False, "remaps_users": False, "limits": ALL_LIMITS}
    return EngineFacts(**(told | options))


@pytest.fixture
def worker_is(monkeypatch: pytest.MonkeyPatch) -> Any:
    def become(uid: int, gid: int) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr(os, "getegid", lambda: gid)

    return become


@pytest.mark.parametrize("is_podman", [True, False])
def test_an_engine_of_root_keeps_the_numbers_so_that_the_agent_has_those_of_the_worker(
    worker_is: Any, is_podman: bool
) -> None:
    worker_is(1000, 100)
    users = choose_users(facts(is_podman=is_podman))
    assert users == Users("1000:100", users.keeper)
    assert users.keeper not in ("0:0", users.agent)


def test_the_agents_of_root_are_somebody_else(worker_is: Any) -> None:
    worker_is(0, 0)
    uid, gid = choose_users(facts()).agent_ids
    assert 0 not in (uid, gid)


def test_a_rootless_podman_maps_the_worker_to_itself(worker_is: Any) -> None:
    worker_is(1000, 1000)
    users = choose_users(facts(rootless=True))
    assert (users.agent, users.mapping) == ("1000:1000", "keep-id")
    assert host_options(ProjectSettings(image="i"), users, {})["userns_mode"] == "keep-id"


def test_the_first_process_is_never_the_agents_user(worker_is: Any) -> None:
    for uid in range(58_000, 58_005):
        worker_is(uid, uid)
        users = choose_users(facts())
        assert users.keeper != users.agent


@pytest.mark.parametrize(
    ("uid", "told"),
    [
        (1000, {"is_podman": False, "rootless": True}),
        (0, {"is_podman": False, "remaps_users": True}),
        (0, {"rootless": True}),
    ],
)
def test_engines_that_would_make_somebody_else_of_the_agent_are_refused(worker_is: Any, uid: int, told: Any) -> None:
    worker_is(uid, uid)
    with pytest.raises(ContainerError) as caught:
        choose_users(facts(**told))
    assert caught.value.cause == "cannot isolate"


@pytest.mark.parametrize("key", sorted(ALL_LIMITS))
def test_a_limit_that_the_host_cannot_keep_is_refused_unless_it_is_given_up(key: str) -> None:
    limited = facts(limits=ALL_LIMITS - {key})
    with pytest.raises(ContainerError, match=rf"cannot limit {key} .* {key} = 0 in \[projects.shop\]") as caught:
        check_limits("shop", ProjectSettings(image="i"), limited)
    assert caught.value.cause == "cannot isolate"
    check_limits("shop", ProjectSettings.model_validate({"image": "i", key: 0}), limited)


def test_more_processors_than_there_are_are_not_asked_for() -> None:
    options = host_options(ProjectSettings(image="i", cpus=100_000), Users("1:1", "2:2"), {Path("/w"): ("/v", "ro")})
    assert options["nano_cpus"] == (os.cpu_count() or 1) * 1_000_000_000
    assert options["binds"] == {"/w": {"bind": "/v", "mode": "ro,Z"}}
