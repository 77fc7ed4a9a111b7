"""Runs in containers from their message to their outcome, what a crashed one leaves, and tests before landing."""

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dispatch.loops import result_fingerprint
from dispatch.models.identity import RunId
from dispatch.models.outcome import Completed, Failed
from dispatch.settings import Settings
from dispatch.store import StartedRun, Store, make_engine
from dispatch.wiring import wire
from tests.model_server import Answer, Asked, ModelServer, call, finish, serving
from tests.podman import IMAGE, Podman
from tests.workers.conftest import ROLE, KeptBus, Shop
from workers.attempt import Attempt
from workers.collecting import collect_worktrees
from workers.execution import RunExecutor
from workers.registry import RunnerRegistry
from workers.runners.launching import TOLD_DIRECTORY
from workers.settling import land_project, settle_run

AGENT = """
sed -n 's/.*"description":"\\([^"]*\\)".*/\\1/p' "$DISPATCH_ASSIGNMENT" > /tmp/task
. /tmp/task
"""
"""An agent that does what the bead says, for a shell."""

Open = Callable[..., Shop]


@pytest.fixture
def open_shop(
    tmp_path: Path, settings: Settings, repository: Path, database_url: str, podman: Podman
) -> Iterator[Open]:
    """Given a way to open the project `shop` with an image, whose one runner works in containers."""
    opened: list[Store] = []
    (tmp_path / "agent.sh").write_text(AGENT)

    def make(runner: Any = None, providers: Any = None, **project: Any) -> Shop:
        values = settings.model_dump(exclude={"dispatch", "guards"})
        values |= {
            "dispatch": {"heartbeat": "200ms", "lease": "30s"},
            "containers": {"engine": podman.address},
            "runners": {"mine": runner or {"kind": "command", "argv": ("sh", "agent.sh"), "isolation": "container"}},
            "providers": providers or {},
            "roles": {ROLE: {"runners": ("mine",)}},
            "projects": {"shop": {"default_role": ROLE, "image": IMAGE, "memory": "64m", **project}},
        }
        chosen = Settings.model_validate(values)
        opened.append(Store(make_engine(database_url), lease=chosen.dispatch.lease))
        bus = KeptBus()
        return Shop(wire(chosen, opened[-1], bus), bus, repository)

    yield make
    for store in opened:
        store.close()
    assert podman.containers() == {}


def execute(shop: Shop, does: str, bead_id: str = "a") -> Any:
    """Run a bead and return its run as it is then."""
    return shop.run(executor(shop).execute(shop.order(shop.add(bead_id, does))))


def executor(shop: Shop) -> RunExecutor:
    registry = RunnerRegistry(shop.system.settings)
    return RunExecutor(shop.system, registry, incarnation_id=lambda: shop.worker, stopping=lambda: False)


def git(shop: Shop, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=shop.repository, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize("code", [0, 1])
def test_work_in_a_container_is_committed_and_lands_when_the_tests_in_the_image_pass(
    open_shop: Open, code: int
) -> None:
    """The test command is found in the image alone, and sees no network."""
    check = f"[ $(id -u) != 0 ] && ! grep : /proc/net/dev | grep -qv ' lo:' && cat made.txt && exit {code}"
    shop = open_shop(test_command=("sh", "-c", check))

    run = execute(shop, "echo made > made.txt; mkdir -p deep/er && echo more > deep/er/more.txt; chmod 700 deep")

    assert run.outcome == Completed()
    assert git(shop, "show", f"{run.commit_sha}:deep/er/more.txt") == "more"
    assert not list(shop.system.worktrees_directory.glob("*/"))
    assert settle_run(shop.system, run.id) is not None
    assert land_project(shop.system, shop.project.id) == 1
    assert shop.store.reading.bead(run.bead_key).status == ("open" if code else "closed")
    assert (shop.repository / "made.txt").exists() is not bool(code)


CODEX = """
case "$*" in *exec*--json*) ;; *) echo "started as $*" >&2; exit 9 ;; esac
grep -q "Do a" || exit 8
pwd > where.txt
echo '{"type":"thread.started","thread_id":"0199a213-81c0-7800-8aa1-bbab2a035a53"}'
change='"type":"file_change","status":"completed","changes":[{"path":"'$PWD'/where.txt"}]'
echo '{"type":"item.completed","item":{'$change'}}'
echo '{"type":"item.completed","item":{"type":"agent_message","text":"DISPATCH: completed: Written."}}'
echo '{"type":"turn.completed","usage":{"input_tokens":10,"output_tokens":2}}'
"""
"""What codex says when it wrote a file, by a program that reads its prompt from standard input as codex does."""


def test_an_agent_program_is_driven_in_its_own_words_in_a_container_too(open_shop: Open, tmp_path: Path) -> None:
    """What it changed is read here, where it wrote; a session is not kept, since its home is not."""
    (tmp_path / "codex.sh").write_text(CODEX)
    runner = {"kind": "command", "preset": "codex", "argv": ("sh", "codex.sh"), "isolation": "container"}
    shop = open_shop(runner=runner)

    run = execute(shop, "Do a")

    assert run.outcome == Completed(summary="Written.")
    assert git(shop, "show", f"{run.commit_sha}:where.txt") == "/workspace"
    actions = shop.store.reading.actions(run.id)
    assert [(action.action_type, action.action_data["path"]) for action in actions] == [("edit", "where.txt")]
    assert actions[0].result_hash == result_fingerprint(sha256(b"/workspace\n").hexdigest())
    again = shop.order(shop.add("b", "Do a"))
    assert shop.run(executor(shop).execute(again)).outcome == Completed(summary="Written.")
    with shop.store.units.begin() as tx:
        assert tx.run("SELECT external_id FROM sessions WHERE external_id <> ''") == []


def test_a_landing_waits_while_its_tests_have_no_image(open_shop: Open) -> None:
    shop = open_shop(test_command=("true",))
    run = execute(shop, "echo made > made.txt")
    assert settle_run(shop.system, run.id) is not None
    without = open_shop_of(shop, image="nobodys:1")

    assert land_project(without, shop.project.id) == 0
    bead = shop.store.reading.bead(run.bead_key)
    assert bead.status == "landing"


def open_shop_of(shop: Shop, **project: Any) -> Any:
    """Return the system of a shop whose project has other settings."""
    settings = shop.system.settings
    changed = settings.project("shop").model_copy(update=project)
    return wire(settings.model_copy(update={"projects": {"shop": changed}}), shop.store, shop.bus)


def test_a_project_without_an_image_is_never_worked_on_without_isolation(open_shop: Open) -> None:
    shop = open_shop()
    shop.system = open_shop_of(shop, image="")
    run = execute(shop, "echo made > made.txt")
    assert isinstance(run.outcome, Failed)
    assert run.outcome.cause == "not isolated"
    assert "image = " in run.outcome.summary
    assert run.commit_sha == git(shop, "rev-parse", "main")


def left_by_crash(shop: Shop) -> tuple[StartedRun, str]:
    """Start a run whose worker dies at once: its worktree has work, and its container is there."""
    started = shop.started(shop.add("a", "echo more > more.txt"))
    attempt = Attempt(shop.system, started)
    attempt.prepare()
    run_directory = shop.system.runs_directory / str(started.run.id)
    (run_directory / TOLD_DIRECTORY).mkdir()
    worktree = shop.system.worktrees_directory / str(started.run.id)
    (worktree / "half.txt").write_text("half\n")
    container = shop.system.containers.create(shop.project.id, worktree, run_id=started.run.id)
    return started, container.id


def test_the_next_attempt_removes_the_container_of_the_last_one_before_it_takes_its_work(
    open_shop: Open, podman: Podman
) -> None:
    shop = open_shop()
    started, container_id = left_by_crash(shop)
    assert list(podman.containers()) == [container_id]
    next_run = replace(started.run, id=RunId(uuid4()), attempt=2)
    previous = replace(started.run, host=socket.gethostname())

    attempt = Attempt(shop.system, replace(started, run=next_run, previous=previous))
    attempt.prepare()

    assert podman.containers() == {}
    assert (shop.system.worktrees_directory / str(next_run.id) / "half.txt").read_text() == "half\n"
    attempt.clean_up()


def test_housekeeping_removes_the_containers_of_runs_that_ended_and_leaves_the_others(
    open_shop: Open, podman: Podman
) -> None:
    shop = open_shop()
    started, container_id = left_by_crash(shop)

    collect_worktrees(shop.system)
    assert list(podman.containers()) == [container_id], "its run is open"

    with shop.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET state = 'settled'")
    collect_worktrees(shop.system)
    assert podman.containers() == {}
    assert shop.run(started.run.id).state == "settled"


def test_housekeeping_goes_on_while_the_engine_is_away(open_shop: Open, tmp_path: Path) -> None:
    shop = open_shop()
    settings = shop.system.settings
    away = settings.containers.model_copy(update={"engine": f"unix://{tmp_path}/none.sock"})
    system = wire(settings.model_copy(update={"containers": away}), shop.store, shop.bus)
    assert collect_worktrees(system) == 0


def test_what_the_agent_was_told_is_only_read_by_its_worker_outside(open_shop: Open) -> None:
    shop = open_shop()
    run = execute(shop, "echo made > made.txt")
    directory = shop.system.runs_directory / str(run.id)
    assert directory.stat().st_mode & 0o077 == 0
    told = json.loads((directory / TOLD_DIRECTORY / "assignment.json").read_text())
    assert told["workspace"] == "/workspace"


KEY = "sk-planted-2b7e151628aed2a6"
LOOKING = """
echo "user $(id -u) in $PWD"
grep : /proc/net/dev | grep -v ' lo:'
cat "$HOST_FILE"
env | grep -E 'PLANTED|^DISPATCH_CONTAINER'
test -f "$DISPATCH_PROMPT" && echo told
echo more >> deep/made.txt; touch deep/beside
sleep 600 > /dev/null 2>&1 &
"""
"""Says who and where it is, and what it reaches; it leaves a process in the background."""


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def modelled(open_shop: Open, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Open:
    """Given a way to open the shop with a model whose commands run in containers. It knows a file of this host."""
    (tmp_path / "host-file").write_text("of the host\n")
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setenv("HOST_FILE", str(tmp_path / "host-file"))

    def make(**project: Any) -> Shop:
        runner = {"kind": "llm", "isolation": "container", "env": ["HOST_FILE", "PLANTED_KEY"]}
        providers = {"main": model_server.provider(api_key_env="PLANTED_KEY")}
        return open_shop(runner, providers=providers, **project)

    return make


def test_its_files_are_written_here_and_its_commands_run_in_the_container(
    modelled: Open, model_server: ModelServer
) -> None:
    """What one made the other changes; nothing of a command goes on after it, or outlasts its time."""
    shop = modelled(test_command=("sh", "-c", "[ $(id -u) != 0 ] && cat deep/made.txt"))
    model_server.play(
        call("write_file", path="/workspace/deep/made.txt", content="made\n"),
        call("run_command", command=LOOKING),
        call("run_command", command="echo before; sleep 500", timeout_seconds=1),
        call("run_command", command=["ps", "-o", "args"]),
        call("run_command", command=["no-such-program"]),
        call("run_command", command=["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]),
        call("run_tests"),
        call("read_file", path="/workspace/deep/made.txt"),
        call("list_files", directory="deep"),
        finish("Made."),
    )

    run = execute(shop, "Do it")

    assert run.outcome == Completed(summary="Made.")
    written, looked, late, processes, missing, large, tested, read, listed = model_server.chats[-1].results
    assert written.startswith("Wrote ")
    user, *reached = looked.splitlines()[1:]
    assert re.fullmatch(r"user [1-9][0-9]* in /workspace", user)
    assert [line for line in reached if "No such file" not in line] == ["told"]
    assert late == "[it took too long and was ended]\nbefore\n"
    assert "ps -o args" in processes
    assert "sleep" not in processes
    assert "The image has no program 'no-such-program'" in missing
    assert "the container had used up its memory" in large
    assert tested == "[exit code 0]\nmade\nmore\n"
    assert read == "made\nmore\n"
    assert listed == "deep/beside\ndeep/made.txt"
    assert git(shop, "show", f"{run.commit_sha}:deep/made.txt") == "made\nmore"
    asked = model_server.chats[0]
    assert "The working directory is /workspace there" in str(asked.body["messages"])
    assert KEY in asked.headers["authorization"]
    run_directory = shop.system.runs_directory / str(run.id)
    files = [path for path in run_directory.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not any(KEY in path.read_text() for path in files)


def test_a_container_that_ends_under_the_run_ends_the_run_and_keeps_the_work(
    modelled: Open, model_server: ModelServer, podman: Podman
) -> None:
    shop = modelled()

    def remove(_asked: Asked) -> Answer:
        (container_id,) = podman.containers()
        podman.call("rm", "--force", "--time", "0", container_id)
        return call("run_command", command="echo never")

    model_server.play(call("write_file", path="made.txt", content="made\n"), remove)

    run = execute(shop, "Do it")

    assert isinstance(run.outcome, Failed)
    assert run.outcome.cause == "container ended"
    assert len(model_server.chats) == 2
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"
    (action,) = [one for one in shop.store.reading.actions(run.id) if one.action_type == "command"]
    assert action.action_data == {"command": "echo never"}


@pytest.mark.parametrize(("change", "cause"), [({"image": ""}, "not isolated"), ({"image": "nobodys:1"}, "no image")])
def test_without_a_container_no_model_is_asked(
    modelled: Open, model_server: ModelServer, change: dict[str, str], cause: str
) -> None:
    shop = modelled()
    shop.system = open_shop_of(shop, **change)
    run = execute(shop, "Do it")
    assert isinstance(run.outcome, Failed)
    assert run.outcome.cause == cause
    assert "image" in run.outcome.summary
    assert model_server.chats == []
