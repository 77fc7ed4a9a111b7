"""Agents in containers, on a real engine: what they can reach, and that each end of a run is their end.

The agents are scripts for a shell: the image has no Python.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from dispatch import embedded
from dispatch.errors import ContainerError
from dispatch.models.messages import ActionEvent
from dispatch.models.outcome import Cancelled, Completed, Failed, TimedOut
from dispatch.models.states import StopReason
from dispatch.settings import Settings
from dispatch.workspaces import ContainerOrchestrator
from tests.podman import IMAGE, Podman
from workers.runners import CommandRunner, Containment, was_contained

PATIENCE = 60.0
PIDS = 48
WRITING = """
    trap : TERM
    echo again >> written
    say ready
    while :; do echo again >> written; sleep 0.05; done
"""
"""An agent that does not end when it is asked to, and writes all the time."""
HOSTILE = r"""
    try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "reached $name"; else echo "denied $name"; fi; }
    try "a file of the home directory" cat "$HOME_FILE"
    try "another worktree" cat "$OTHER_WORKTREE/work.txt"
    try "the repository" ls "$REPOSITORY"
    try "the worker's environment" sh -c 'cat /proc/[0-9]*/environ | tr "\0" "\n" | grep -q "^SECRET_OF_WORKER="'
    try "the database" test -S "$DATABASE"
    try "the broker" test -S "$BROKER"
    try "a server on loopback" sh -c 'echo | nc -w 20 127.0.0.1 "$PORT"'
    try "the engine" test -S "$ENGINE"
    try "another network than loopback" sh -c 'grep : /proc/net/dev | grep -qv "^ *lo:"'
    try "a file outside" touch "$OUTSIDE"
    try "to be root" sh -c '[ "$(id -u)" = 0 ]'
    try "the processes of the host" sh -c 'cat /proc/[0-9]*/cmdline | tr "\0" " " | grep -q "$MARK"'
"""
"""Says of each thing that an agent must not reach whether it does. What it reaches for comes from its environment."""


@pytest.fixture
def contain(tmp_path: Path, podman: Podman) -> Iterator[Callable[..., CommandRunner]]:
    """Given a way to make a runner for a shell script that works in a container. Nothing of it may be left."""
    count = iter(range(1000))

    def make(script: str, *, env: tuple[str, ...] = (), **shop: Any) -> CommandRunner:
        name = f"agent{next(count)}.sh"
        (tmp_path / name).write_text(PRELUDE + dedent(script))
        return CommandRunner(
            ["sh", name], pass_env=env, base_directory=tmp_path, containment=containment(tmp_path, podman, **shop)
        )

    yield make
    assert podman.containers() == {}


PRELUDE = """say() { printf '{"type": "progress", "message": "%s"}\\n' "$*"; }\n"""


def containment(tmp_path: Path, podman: Podman, **shop: Any) -> Containment:
    values = {
        "home": tmp_path / "home",
        "containers": {"engine": podman.address},
        "projects": {"shop": {"image": IMAGE, "memory": "64m", "pids": PIDS, **shop}},
    }
    return Containment(ContainerOrchestrator(Settings.model_validate(values)))


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def test_an_agent_is_told_its_work_and_its_work_and_words_come_out(stage, contain, monkeypatch):
    monkeypatch.setenv("TOKEN_OF_AGENT", "given")
    monkeypatch.setenv("SECRET_OF_WORKER", "kept")
    runner = contain(
        """
        grep -q '"workspace":"/workspace"' "$DISPATCH_ASSIGNMENT" || exit 4
        grep -q 'A bead' "$DISPATCH_PROMPT" || exit 5
        cp "$DISPATCH_ASSIGNMENT" assignment.json
        env | sort > environment
        mkdir sub; ln -s /etc/passwd sub/link
        echo '{"type": "action", "action_type": "edit", "action_data": {"path": "sub/link"}}'
        echo plain words
        echo complaint >&2
        echo '{"type": "result", "outcome": "completed", "summary": "done"}'
        """,
        env=("TOKEN_OF_AGENT",),
    )

    assert stage.run(runner) == Completed(summary="done")

    workspace = stage.context.assignment.workspace
    variables = dict(line.split("=", 1) for line in (workspace / "environment").read_text().splitlines())
    assert variables["TOKEN_OF_AGENT"] == "given"
    assert variables["HOME"] == "/home/agent"
    assert "SECRET_OF_WORKER" not in variables
    assert not {"DISPATCH_CONTAINER", "PYTHONPATH"} & set(variables)
    assert (workspace / "sub" / "link").readlink() == Path("/etc/passwd")
    assert [event.action_type for event in stage.events if isinstance(event, ActionEvent)] == ["edit"]
    assert "plain words" in stage.messages
    assert "complaint" in stage.log
    assert was_contained(stage.context.run_directory)
    assert json.loads((workspace / "assignment.json").read_text())["bead"]["title"] == "A bead"


@pytest.fixture
def listener() -> Iterator[int]:
    """Given a server on loopback of this host that greets whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"hello\n")

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_hostile_agent_reaches_nothing_of_the_host_in_a_container_and_all_of_it_without(
    make_stage, contain, tmp_path, monkeypatch, podman: Podman, servers: embedded.Servers, listener: int
):
    secret, other = tmp_path / "homedir" / "secret", tmp_path / "worktrees" / "other"
    for directory in (secret.parent, other):
        directory.mkdir(parents=True)
    secret.write_text("secret")
    (other / "work.txt").write_text("work")
    values = {
        "HOME_FILE": secret,
        "OTHER_WORKTREE": other,
        "REPOSITORY": Path(__file__).parents[2] / ".git",
        "DATABASE": socket_of_database(servers),
        "BROKER": servers.broker_url.removeprefix("redis+socket://").partition("?")[0],
        "PORT": listener,
        "ENGINE": podman.address.removeprefix("unix://"),
        "OUTSIDE": tmp_path / "made-by-agent",
        "MARK": "[p]ytest",  # which is not among the words of the program that looks for it
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    names = tuple(values)
    free, contained = make_stage(), make_stage()
    script = tmp_path / "hostile.sh"
    script.write_text(dedent(HOSTILE))

    with subprocess.Popen(["sleep", "600"], env={"SECRET_OF_WORKER": "kept"}) as worker:
        free.run(CommandRunner(["busybox", "sh", str(script)], pass_env=names))
        outcome = contained.run(contain(HOSTILE, env=names))
        worker.kill()

    assert outcome == Completed()
    reached = {message for message in free.messages if message.startswith("reached ")}
    assert reached == {message.replace("denied", "reached") for message in contained.messages}
    assert len(reached) == 12, "without isolation all of it can be reached: the script does try"
    assert not [message for message in contained.messages if message.startswith("reached ")]


def socket_of_database(servers: embedded.Servers) -> Path:
    from sqlalchemy import make_url

    return Path(str(make_url(servers.database_url).query["host"])) / ".s.PGSQL.5432"


def test_an_agent_can_neither_gain_rights_nor_write_elsewhere_nor_hold_its_container_open(stage, contain):
    runner = contain(
        """
        for place in / /bin /etc /dispatch /sys/fs/cgroup /proc/sys/kernel/hostname "$DISPATCH_ASSIGNMENT"; do
            if [ -d $place ]; then touch $place/x 2>/dev/null; else echo x 2>/dev/null > $place; fi && say wrote $place
        done
        mount -t tmpfs none /bin 2>/dev/null && say mounted
        mknod disk b 254 0 2>/dev/null && say made a device
        [ "$(rootsh sh -c 'id -u' 2>/dev/null)" = 0 ] && say root by setuid
        su -c 'id -u' 2>/dev/null | grep -qx 0 && say root by su
        kill -9 1 2>/dev/null && say killed the first process
        for n in 0 3; do ( : > /proc/1/fd/$n ) 2>/dev/null && say holds the lifeline; done
        grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | while read -r k v; do say $k $v; done
        for place in /tmp "$HOME" /workspace; do
            echo '#!/bin/sh' > $place/x && chmod +x $place/x && $place/x && say may $place
        done
        """
    )

    assert stage.run(runner) == Completed()
    rights = [f"{name}: {'0' * 16}" for name in ("CapPrm", "CapEff", "CapBnd")]
    assert stage.messages == [
        *rights,
        "NoNewPrivs: 1",
        "Seccomp: 2",
        "may /tmp",
        "may /home/agent",
        "may /workspace",
    ]


def test_an_agent_that_forks_without_end_is_held_to_its_number_of_processes(stage, contain, podman: Podman):
    """It would start 400 processes; they are counted from outside."""
    counted: list[int] = []

    def count() -> None:
        (container_id,) = podman.containers()
        listed = podman.call("top", container_id).stdout.splitlines()
        counted.append(len(listed) - 1)

    stage.when("forking", count)
    runner = contain(
        """
        i=0
        (while [ $i -lt 400 ]; do sleep 300 & i=$((i + 1)); done) 2>/dev/null
        say forking
        sleep 300
        """
    )
    stage.when("forking", lambda: stage.control.ask_to_stop(StopReason.CANCEL))

    assert stage.run(runner) == Cancelled(cause="cancel")
    assert counted[0] <= PIDS
    assert counted[0] > PIDS // 2


def test_an_agent_that_takes_more_memory_than_it_may_is_killed_and_told_why(stage, contain):
    outcome = stage.run(contain("exec dd if=/dev/zero of=/dev/null bs=200M count=1"))

    assert isinstance(outcome, Failed)
    assert outcome.cause == "out of memory"
    assert "memory in [projects.<name>]" in outcome.summary


def test_what_an_agent_leaves_running_ends_with_it(stage, contain):
    """The process that it leaves holds its output open, and writes for as long as it lives."""
    runner = contain("(while :; do echo again >> written; sleep 0.02; done) & until [ -s written ]; do :; done; exit 3")
    assert stage.run(runner) == Failed(cause="exit 3")
    assert_silent(stage)


def assert_silent(stage: Any) -> None:
    """Check that nothing writes into the workspace any more."""
    written = stage.context.assignment.workspace / "written"
    size = written.stat().st_size
    assert size
    time.sleep(0.3)
    assert written.stat().st_size == size


def test_the_deadline_ends_a_stubborn_agent(stage, contain):
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.DEADLINE))
    assert stage.run(contain(WRITING)) == TimedOut(limit_seconds=60)
    assert_silent(stage)


def test_the_deadline_counts_from_the_start_of_the_container(make_stage, contain):
    assert make_stage(timeout=1).run(contain("sleep 600")) == TimedOut(limit_seconds=1)


def test_an_agent_that_is_asked_to_stop_may_tidy_up(make_stage, contain):
    stage = make_stage(stop_grace=30)
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.CANCEL))
    runner = contain("trap 'echo tidied > tidied; exit 0' TERM; say ready; while :; do sleep 0.1; done")

    assert stage.run(runner) == Cancelled(cause="cancel")
    assert (stage.context.assignment.workspace / "tidied").exists()


@pytest.mark.parametrize("victims", ["client", "guard", "both"])
def test_an_agent_ends_with_its_client_and_its_guard(stage, contain, victims):
    def kill() -> None:
        client = psutil.Process(stage.identities[0].process_group)
        guard = client.parent()
        for process in {"client": [client], "guard": [guard], "both": [guard, client]}[victims]:
            process.kill()

    stage.when("ready", kill)

    outcome = stage.run(contain(WRITING))

    assert isinstance(outcome, Failed)
    assert outcome.cause == ("signal SIGKILL" if victims == "client" else "guard lost")
    assert_silent(stage)


def test_an_agent_ends_with_its_engine(stage, contain, podman: Podman):
    """Whether anything of it still ran could not be known otherwise."""
    stage.when("ready", podman.kill)
    try:
        with pytest.raises(ContainerError) as caught:
            stage.run(contain(WRITING))
    finally:
        podman.serve()

    assert caught.value.cause == "no engine"
    until(lambda: podman.containers() == {}, "the end of the container")
    assert_silent(stage)


WORKER = """
import sys, uuid
from pathlib import Path
from dispatch.models.messages import AssignedBead, AssignedProject, Assignment
from dispatch.settings import Settings
from dispatch.workspaces import ContainerOrchestrator
from workers.runners import CommandRunner, Containment, RunControl, RunnerContext
place, engine, image, agent = sys.argv[1:]
values = {"home": Path(place) / "home", "containers": {"engine": engine}, "projects": {"shop": {"image": image}}}
(Path(place) / "workspace").mkdir()
assignment = Assignment(
    run_id=uuid.uuid4(), attempt=1, role="dev", timeout_seconds=600, workspace=Path(place) / "workspace",
    project=AssignedProject(id="shop", target_branch="main", test_command=()), bead=AssignedBead(id="a", title="A"),
)
context = RunnerContext(
    assignment=assignment, run_directory=Path(place) / "run", control=RunControl(),
    on_event=lambda event: None, on_process=lambda process: print(process.process_group, flush=True), stop_grace=1,
)
containment = Containment(ContainerOrchestrator(Settings.model_validate(values)))
CommandRunner(["sh", agent], base_directory=Path(place), containment=containment).run(context)
"""
"""A worker of one run."""


@pytest.mark.parametrize("with_guard", [False, True], ids=["worker", "worker and guard"])
def test_an_agent_ends_with_its_worker(tmp_path, podman: Podman, with_guard: bool):
    """However they are killed the container is gone within moments, without any housekeeping."""
    (tmp_path / "agent.sh").write_text(PRELUDE + dedent(WRITING))
    arguments = (str(tmp_path), podman.address, IMAGE, "agent.sh")
    worker = subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    client = psutil.Process(int(worker.stdout.readline()))
    written = tmp_path / "workspace" / "written"
    until(written.exists, "the agent to write")
    guard = client.parent()
    assert guard is not None

    for process in (worker, guard) if with_guard else (worker,):
        os.kill(process.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()

    until(lambda: podman.containers() == {}, "the end of the container")
    until(lambda: not client.is_running(), "the end of the client")
    size = written.stat().st_size
    time.sleep(0.3)
    assert written.stat().st_size == size


@pytest.mark.parametrize(
    ("shop", "cause", "words"),
    [
        ({"image": ""}, "not isolated", "the project shop has no image to make a container from"),
        ({"image": "nobodys:1"}, "no image", "has no image 'nobodys:1'"),
    ],
)
def test_without_an_image_an_agent_does_not_run(stage, contain, shop, cause, words):
    outcome = stage.run(contain("echo ran > ran", **shop))

    assert isinstance(outcome, Failed)
    assert (outcome.cause, words in outcome.summary) == (cause, True)
    assert not (stage.context.assignment.workspace / "ran").exists()


def test_without_an_engine_an_agent_does_not_run(stage, tmp_path):
    values = {
        "home": tmp_path,
        "containers": {"engine": f"unix://{tmp_path}/none.sock"},
        "projects": {"shop": {"image": IMAGE}},
    }
    containers = Containment(ContainerOrchestrator(Settings.model_validate(values)))

    outcome = stage.run(CommandRunner(["sh", "-c", "echo ran > ran"], containment=containers))

    assert isinstance(outcome, Failed)
    assert outcome.cause == "no engine"
    assert "[containers] engine" in outcome.summary
    assert not (stage.context.assignment.workspace / "ran").exists()


def test_a_program_that_the_image_does_not_have_is_not_found(stage, tmp_path, podman: Podman):
    outcome = stage.run(CommandRunner(["no-such-program"], containment=containment(tmp_path, podman)))

    assert isinstance(outcome, Failed)
    assert (outcome.cause, "no-such-program" in outcome.summary) == ("not found", True)
