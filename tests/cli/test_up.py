"""`dispatch up` and `dispatch down` with real workers, and the parts that need none."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from dispatch import embedded
from dispatch.cli.deployment import FlowerAccess, agent_workers, environment, services
from dispatch.cli.live_follow import Follower
from dispatch.cli.live_words import in_words, short_agent
from dispatch.cli.up import exit_code
from dispatch.cli.upkeep import End
from dispatch.errors import ConfigurationError
from dispatch.exchange import NewBead, add_bead
from dispatch.models.bead import Bead
from dispatch.models.event import Event
from dispatch.models.identity import BeadId, ProjectId, uuid7
from dispatch.models.project import Project
from dispatch.settings import Settings
from dispatch.store import Store

PROGRAM = [sys.executable, "-c", "from dispatch.cli import main; main()"]
PATIENCE = 60.0
CONFIG = """
home = "home"

[dispatch]
tick_interval = "1s"

[workers.agents]
roles = ["backend-engineer"]
concurrency = 2

[runners.sleepy]
kind = "command"
argv = ["python", "agent.py"]

[roles.backend-engineer]
runners = ["sleepy"]

[projects.shop]
path = "repository"
default_role = "backend-engineer"
"""
AGENT = """
import json, os, pathlib, signal, time
bead = json.loads(pathlib.Path(os.environ["DISPATCH_ASSIGNMENT"]).read_text())["bead"]
if bead["title"] == "be deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path("deaf").touch()
if bead["title"] in ("sleep", "be deaf"):
    print(json.dumps({"type": "progress", "message": "asleep"}), flush=True)
    time.sleep(600)
pathlib.Path(bead["id"]).write_text("done")
"""


def until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Deployment:
    """A configured directory with a project, and the command line in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("DISPATCH_")}
        (directory / "dispatch.toml").write_text(CONFIG)
        (directory / "agent.py").write_text(AGENT)

    def call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def add(self, title: str, *labels: str) -> str:
        """Add a bead; return its id."""
        options = [word for label in labels for word in ("--label", label)]
        added = self.call("add", title, "--project", "shop", *options, "--json")
        assert added.returncode == 0, added.stderr
        return str(json.loads(added.stdout)["id"])

    def status_of(self, bead_id: str) -> str:
        return str(json.loads(self.call("show", bead_id, "--json").stdout)["status"])

    @contextmanager
    def up(self, *arguments: str) -> Iterator["Up"]:
        up = Up(self, arguments)
        try:
            yield up
        finally:
            up.end()

    def processes(self) -> list[psutil.Process]:
        """Return the processes of Celery and of agents that belong to this home."""
        found = []
        for process in psutil.process_iter():
            try:
                here = process.environ().get("DISPATCH_HOME") == str(self.home)
                here = here or str(self.directory / "agent.py") in process.cmdline()
                if here and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found


class Up:
    """A `dispatch up` that runs, and what it has printed so far."""

    def __init__(self, deployment: Deployment, arguments: Sequence[str]) -> None:
        self.output = deployment.directory / f"up-{uuid7()}.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*PROGRAM, "up", *arguments],
                cwd=deployment.directory,
                env=deployment.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self, pattern: str) -> bool:
        return re.search(pattern, self.output.read_text()) is not None

    def says(self, pattern: str) -> None:
        """Wait until it has printed something."""
        until(lambda: self.said(pattern) or self.process.poll() is not None)
        assert self.said(pattern), self.output.read_text()

    def ends(self) -> int:
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def deployment(tmp_path: Path, repository: Path) -> Iterator[Deployment]:
    """Given a deployment with one project and no beads, on servers of its own."""
    deployment = Deployment(tmp_path)
    assert deployment.call("project", "add", str(repository), "--id", "shop").returncode == 0
    yield deployment
    until(lambda: not deployment.processes())
    embedded.purge(deployment.home)


@pytest.mark.timeout(170)
def test_up_works_on_the_labelled_beads_alone_and_ends_when_nothing_is_left(deployment: Deployment) -> None:
    chosen = [deployment.add(f"chosen {number}", "now") for number in range(2)]
    other = deployment.add("other")
    with deployment.up("--until-idle", "--label", "now") as up:
        assert up.ends() == 0, up.output.read_text()
    assert [deployment.status_of(bead_id) for bead_id in (*chosen, other)] == ["closed", "closed", "open"]
    assert deployment.processes() == []
    log = (deployment.home / "logs" / "agents.log").read_text()
    assert "agents@" in log
    assert not (deployment.home / "logs" / "ticker.log").exists()
    assert not up.said("(?i)traceback")


@pytest.mark.timeout(170)
def test_ctrl_c_hands_running_work_back_and_a_second_up_is_refused_meanwhile(deployment: Deployment) -> None:
    bead_id = deployment.add("sleep")
    with deployment.up() as up:
        up.says(f"{bead_id} started")
        password = re.search(r"password (\S+)", up.output.read_text())
        assert password is not None
        assert all(password[1] not in " ".join(process.cmdline()) for process in deployment.processes())
        refused = deployment.call("up")
        assert refused.returncode == 4
        assert f"process {up.process.pid}" in refused.stderr
        up.process.send_signal(signal.SIGINT)
        assert up.ends() == 0
        assert up.said("Ending: agents hand back")
        assert up.said(f"{bead_id} open again: Its run was ended: handback")
    assert deployment.processes() == []
    assert deployment.status_of(bead_id) == "open"


@pytest.mark.timeout(170)
def test_a_second_ctrl_c_waits_for_no_agent_and_leaves_none_behind(deployment: Deployment) -> None:
    bead_id = deployment.add("be deaf")
    with deployment.up() as up:
        up.says(f"{bead_id} started")
        until(lambda: list((deployment.home / "worktrees").glob("*/deaf")))
        up.process.send_signal(signal.SIGINT)
        up.says("Press Ctrl-C again to end at once")
        up.process.send_signal(signal.SIGINT)
        assert up.ends() == 0
        assert not up.said(f"{bead_id} open again"), "it did not wait until the run was handed back"
    (run,) = json.loads(deployment.call("runs", "--json").stdout)
    assert (run["state"], run["outcome"]["kind"], run["outcome"]["cause"]) == ("reported", "cancelled", "handback")
    until(lambda: deployment.processes() == [])


@pytest.mark.timeout(170)
def test_nothing_outlives_a_killed_up_and_down_ends_the_next_one(deployment: Deployment) -> None:
    bead_id = deployment.add("sleep")
    with deployment.up() as up:
        up.says(f"{bead_id} started")
        up.process.kill()
        up.process.wait()
    with deployment.up() as following:
        following.says("worker agents is ready")
        names = [process.name() for process in deployment.processes() if "flower" in process.cmdline()]
        assert len(names) <= 2, "one Flower and its leash: the former ones are gone"
        ended = deployment.call("down")
        assert ended.returncode == 0
        assert f"process {following.process.pid}" in ended.stderr
        assert following.ends() == 0
    assert deployment.processes() == []
    assert not embedded.inspect(deployment.home).running
    assert deployment.call("down").returncode == 0


@pytest.mark.timeout(170)
@pytest.mark.slow
def test_a_killed_keeper_is_replaced_and_starts_what_died_meanwhile_again(deployment: Deployment) -> None:
    with deployment.up() as up:
        up.says("worker agents is ready")
        found = embedded.inspect(deployment.home)
        for pid in (found.keeper_pid, found.valkey.pid):
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        up.says("another keeper")
        until(lambda: embedded.inspect(deployment.home).running)
        assert embedded.inspect(deployment.home).keeper_pid not in (None, found.keeper_pid)
        bead_id = deployment.add("write")
        up.says(f"{bead_id} closed")
        up.process.send_signal(signal.SIGTERM)
        assert up.ends() == 0


def test_up_with_no_worker_configured_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "dispatch.toml").write_text('home = "home"\n')
    finished = subprocess.run(
        [*PROGRAM, "up"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert finished.returncode == 2
    assert "no worker is configured" in finished.stderr
    assert "dispatch init" in finished.stderr
    assert not (tmp_path / "home").exists()


def configured(settings: Settings, **workers: dict[str, object]) -> Settings:
    """Return settings with workers for the role `backend-engineer`."""
    given = {"home": settings.home, "workers": workers, "runners": {"mine": {"kind": "command", "argv": ["true"]}}}
    return Settings.model_validate({**given, "roles": {"backend-engineer": {"runners": ["mine"]}}})


def test_agents_share_no_worker_with_any_other_queue(settings: Settings) -> None:
    with_workers = configured(settings, fast={"roles": ["backend-engineer"], "concurrency": 3, "pool": "threads"})
    (worker,) = agent_workers(with_workers)
    command = " ".join(worker.command)
    assert "-m celery -A workers worker -n fast@%h -Q role.backend-engineer -c 3 -P threads" in command
    access = FlowerAccess(port=5555, password="secret")
    queues = [" ".join(service.command) for service in services(with_workers, access)]
    assert not any("role." in command for command in queues)
    assert not any("secret" in command for command in queues)


def test_a_worker_may_not_take_the_name_of_a_service(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match='"ticker" is that of a service'):
        agent_workers(configured(settings, ticker={"roles": ["backend-engineer"]}))


def test_programs_get_the_configuration_that_up_has_read(settings: Settings) -> None:
    capped = settings.model_copy(update={"dispatch": settings.dispatch.model_copy(update={"max_running": 2})})
    given = environment(capped, {"PATH": "/bin"})
    assert given["DISPATCH_HOME"] == str(settings.home)
    assert given["DISPATCH_DISPATCH__MAX_RUNNING"] == "2"
    assert given["PATH"] == "/bin"


def test_an_interrupted_until_idle_did_not_reach_its_end() -> None:
    assert exit_code(End.ASKED, until_idle=False) == 0
    assert exit_code(End.ASKED, until_idle=True) == 130
    assert exit_code(End.IDLE, until_idle=True) == 0
    assert exit_code(End.BROKEN, until_idle=False) == 1


def make(store: Store, project: Project, *titles: str, **fields: object) -> list[Bead]:
    return [
        add_bead(store, project, NewBead(title=title, **fields), created_by="me", now=datetime.now(UTC))  # type: ignore[arg-type]
        for title in titles
    ]


def test_a_follower_tells_each_event_once_and_nothing_from_before(store: Store, project: Project) -> None:
    make(store, project, "before")
    follower = Follower(store)
    assert follower.news() == []
    make(store, project, "after")
    (event,) = follower.news()
    assert event.kind == "bead.added"
    assert follower.news() == []
    (line,) = follower.lines([event])
    assert line.text.endswith("added: after")


def test_events_are_told_in_words() -> None:
    def told(kind: str, **data: object) -> str | None:
        event = Event(
            id=1, at=datetime.now(UTC), kind=kind, project_id=ProjectId("p"), bead_id=BeadId("shop-1"), data=data
        )
        return in_words(event, lambda agent: f"agents/{agent}")

    assert told("run.claimed", role="qa-engineer", agent="2", attempt=3) == (
        "shop-1 claimed for qa-engineer, agent agents/2, attempt 3"
    )
    assert told("bead.open", reason="timed out after 2 s", failures=2) == (
        "shop-1 open again: timed out after 2 s (failed 2 times in a row, goes again after a pause)"
    )
    assert told("bead.closed", reason="Landed.") == "shop-1 closed: Landed."
    assert told("run.settled", outcome="completed") is None
    assert told("bead.unheard_of", reason="why") == "shop-1 why"
    assert short_agent("agents@host/1") == "agents/1"


@pytest.mark.parametrize("mode", ["local", "auto"])
def test_without_a_broker_up_does_the_work_itself(deployment: Deployment, mode: str) -> None:
    deployment.environment["DISPATCH_DISPATCH__DISPATCH_MODE"] = mode
    first = deployment.add("write")
    second = deployment.add("write too")

    ended = deployment.call("up", "--until-idle")

    assert ended.returncode == 0, ended.stderr
    assert "Serving in this process" in ended.stdout + ended.stderr
    assert [deployment.status_of(first), deployment.status_of(second)] == ["closed", "closed"]
    assert deployment.processes() == []


def test_a_local_up_does_not_choose_among_beads(deployment: Deployment) -> None:
    deployment.environment["DISPATCH_DISPATCH__DISPATCH_MODE"] = "local"

    refused = deployment.call("up", "--limit", "1")

    assert refused.returncode == 4
    assert "served locally" in refused.stderr
