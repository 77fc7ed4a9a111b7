"""A deployment of real processes, started by the stock commands, on the test servers and a database of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, text

from dispatch import embedded
from dispatch.bus.celery import CeleryBus, make_app
from dispatch.exchange import export_project, import_file
from dispatch.models.bead import Bead
from dispatch.models.event import Event
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.outcome import Completed
from dispatch.models.run import Run
from dispatch.models.states import RunState
from dispatch.settings import load_settings
from dispatch.store import FixedClock, Store, make_engine
from dispatch.wiring import System, find_servers, wire

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0
"""Seconds after which a test gives up waiting for what should come."""
ROLE = "backend-engineer"
TEMPLATE = "dispatch_template"
SHORT = 'tick_interval = "1s"\nheartbeat = "500ms"\nlease = "3s"'
"""Times that make faults quick to be seen."""


FIRST = {
    "id": "shop-1",
    "title": "Greet",
    "description": "```file hello.py\nprint('hello')\n```\n```sh\npython3 hello.py\n```\n",
}
SECOND = {
    "id": "shop-2",
    "title": "Greet twice",
    "description": "```append hello.py\nprint('again')\n```\n",
    "dependencies": [
        {"issue_id": "shop-2", "depends_on_id": "shop-1", "type": "blocks", "created_at": "2026-01-01T00:00:00Z"}
    ],
}
STORY = ["run.claimed", "run.started", "run.reported", "run.settled", "bead.landing", "bead.closed"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known where xdist is off, too."""
    config.addinivalue_line("markers", "xdist_group(name): tests that one process runs")


def git(repository: Path, *arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True, text=True)
    return finished.stdout.strip()


def make_repository(path: Path) -> None:
    """Make a repository with one commit on main."""
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "config", "user.name", "Somebody")
    git(path, "config", "user.email", "somebody@localhost")
    (path / "README.md").write_text("A project.\n")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "Begin")


def check_walk(deployment: "Deployment", base: str) -> None:
    """Check everything that is to be true after FIRST and SECOND went all the way, whatever carried them."""
    first, second = (BeadKey.of("shop", bead["id"]) for bead in (FIRST, SECOND))
    repository, store = deployment.repository, deployment.store

    # The history tells it in order.
    assert deployment.story(first) == STORY
    assert deployment.story(second) == STORY
    told = [event.id for key in (first, second) for event in deployment.events(key)]
    assert told == sorted(told), "the dependent began before the first one had landed"

    # The run: handed over once, from the tip of main, its outcome and commit kept.
    (run,) = deployment.runs(first)
    assert run.state is RunState.SETTLED
    assert (run.attempt, run.role, run.base_sha) == (1, ROLE, base)
    assert run.publishes <= 1, "one that starts at once is not noted as published any more"
    assert run.outcome == Completed(summary="Did 2 blocks; no tests were run.")
    assert run.commit_sha is not None
    assert git(repository, "log", "-1", "--format=%s", run.commit_sha) == "Greet"
    assert f"Run: {run.id}" in git(repository, "log", "-1", "--format=%b", run.commit_sha)

    # What the agent did is recorded, in order, with the agent that did it.
    actions = store.reading.actions(run.id)
    assert [action.progress_key for action in actions] == ["edit:hello.py", "command:python3 hello.py"]
    assert all(action.result_hash for action in actions)
    agent = deployment.ask("SELECT data->>'agent' FROM events WHERE kind = 'run.started' AND run_id = :run", run=run.id)
    assert {str(action.agent_id) for action in actions} == {agent}

    # The work is on the bead's branch, and on main, the files in the checkout included.
    assert git(repository, "show", f"{deployment.branch(first)}:hello.py") == "print('hello')"
    assert git(repository, "log", "--format=%s", "main") == "Greet twice\nGreet\nBegin"
    assert (repository / "hello.py").read_text() == "print('hello')\nprint('again')\n"
    assert git(repository, "status", "--porcelain") == ""

    # The dependent started from there.
    (later,) = deployment.runs(second)
    assert later.base_sha == deployment.bead(first).head_sha

    # The export says so.
    lines = {line["id"]: line for line in map(json.loads, export_project(store, ProjectId("shop")))}
    assert {line["status"] for line in lines.values()} == {"closed"}
    assert lines["shop-1"]["close_reason"].startswith("Landed on main as ")

    # Nothing is left: no worktree, and every agent is idle again or gone.
    deployment.until(lambda: not list(deployment.system.worktrees_directory.glob("*/")), what="worktrees to go")
    assert deployment.ask("SELECT count(*) FROM agents WHERE state NOT IN ('idle', 'gone')") == 0


class Deployment:
    """One deployment: its configuration, its processes, and the store as a test looks into it.

    Processes are started by name, each in a session of its own, and ended by their number only.
    """

    def __init__(self, directory: Path, configuration: str) -> None:
        self.directory = directory
        self.config = directory / "dispatch.toml"
        self.config.write_text(configuration)
        (directory / "home").mkdir(mode=0o700)
        self.repository = directory / "repository"
        self.environment = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
        self.environment |= {"DISPATCH_CONFIG": str(self.config), "PYTHONPATH": str(ROOT)}
        self.settings = load_settings(config=self.config, environ={}, cwd=directory)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        addresses = find_servers(self.settings)
        self.store = Store(make_engine(self.settings.database_url), lease=self.settings.dispatch.lease)
        self.app = make_app(self.settings, addresses.broker_url, addresses.result_backend_url)
        self.system = wire(self.settings, self.store, CeleryBus(self.app, self.settings))

    # Processes

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `celery -A workers ARGUMENTS...`."""
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "workers", *arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def start_worker(
        self, name: str, queues: str, *more: str, concurrency: int = 2, pool: str = "prefork"
    ) -> subprocess.Popen[bytes]:
        options = ("-n", f"{name}@here", "-Q", queues, "-c", str(concurrency), "-P", pool, *more)
        return self.start(name, "worker", *options, "-l", "INFO", "--without-gossip", "--without-mingle")

    def start_services(self) -> None:
        """Start what every deployment has once."""
        self.start_worker("services", "control,results,landing")
        self.start_beat()

    def start_beat(self) -> None:
        self.start("beat", "beat", "-l", "INFO", "--pidfile", str(self.directory / "beat.pid"))

    def await_workers(self, *names: str) -> None:
        """Wait until workers of these names are registered and alive."""
        wanted = {f"{name}@here" for name in names}
        self.until(lambda: wanted <= {worker.node for worker in self.store.swarm.workers()}, what=f"workers {wanted}")

    def agent_processes(self, name: str) -> list[psutil.Process]:
        """Return the pool processes of a prefork worker."""
        return psutil.Process(self.processes[name].pid).children()

    def terminate(self, name: str, *, seconds: float = PATIENCE) -> None:
        """Send SIGTERM to a worker's main process and wait until it has ended."""
        process = self.processes.pop(name)
        process.terminate()
        process.wait(seconds)

    def kill(self, name: str) -> None:
        """Send SIGKILL to all processes of a worker, as the machine's out-of-memory killer might."""
        process = self.processes.pop(name)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        for member in family:
            member.kill()
        process.wait(PATIENCE)

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def end(self) -> None:
        """End every process and whatever is left in its session."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for left in psutil.process_iter():
                if _session(left.pid) == process.pid:
                    os.kill(left.pid, signal.SIGKILL)
        self.processes.clear()
        self.system.close()

    def logs(self) -> str:
        logs = sorted(self.directory.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text()[-20_000:]}" for log in logs)

    # Beads

    def add_project(self, name: str = "shop") -> ProjectId:
        """Make a repository with one commit on main, and a project of it."""
        make_repository(self.repository)
        return self.store.projects.add(ProjectId(name), self.repository, name).id

    def import_beads(self, *documents: dict[str, Any]) -> list[BeadKey]:
        """Import beads from a file, as `dispatch import` does, and ask for a tick."""
        path = self.directory / f"{uuid.uuid4().hex}.jsonl"
        stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        common = {"status": "open", "priority": 2, "issue_type": "task", "created_at": stamp, "updated_at": stamp}
        path.write_text("".join(json.dumps(common | document) + "\n" for document in documents))
        result = import_file(self.store, ProjectId("shop"), path, settings=self.system.settings)
        assert not result.refused_lines, result.problems
        self.system.results.nudge()
        return [BeadKey.of("shop", document["id"]) for document in documents]

    def bead(self, key: BeadKey) -> Bead:
        return self.store.reading.bead(key)

    def runs(self, key: BeadKey) -> list[Run]:
        """Return the runs of a bead, oldest first."""
        return self.store.reading.runs(bead=key)[::-1]

    def events(self, key: BeadKey) -> list[Event]:
        return self.store.reading.events(key)

    def kinds(self, key: BeadKey) -> list[str]:
        """Return what happened to a bead, in order."""
        return [event.kind for event in self.events(key)]

    def story(self, key: BeadKey) -> list[str]:
        """Return the turning points of a bead, in order: without refusals and changes of agents on the way."""
        return [kind for kind in self.kinds(key) if kind in STORY]

    def await_status(self, key: BeadKey, status: str) -> Bead:
        self.until(lambda: self.bead(key).status == status, what=f"{key} to be {status}")
        return self.bead(key)

    def await_running(self, key: BeadKey, *, attempt: int = 1) -> Run:
        """Wait until the agent of a bead's run works, and return the run."""

        def works() -> bool:
            runs = self.runs(key)
            return len(runs) >= attempt and runs[-1].state is RunState.RUNNING and runs[-1].process_group is not None

        self.until(works, what=f"the agent of {key} to work")
        return self.runs(key)[-1]

    def await_file(self, run: Run, name: str) -> Path:
        """Wait until the agent of a run has written a file in its workspace."""
        path = self.system.worktrees_directory / str(run.id) / name
        self.until(path.exists, what=f"the agent to write {name}")
        return path

    def ask(self, statement: str, **parameters: Any) -> Any:
        """Return the first value of a statement."""
        with self.store.engine.begin() as connection:
            return connection.execute(text(statement), parameters).scalar()

    def later(self, by: timedelta) -> System:
        """Return the deployment as it is for a process whose time is so much later."""
        now = self.ask("SELECT clock_timestamp()")
        store = Store(self.store.engine, lease=self.settings.dispatch.lease, clock=FixedClock(now + by))
        return wire(self.settings, store, self.system.bus)

    def git(self, *arguments: str) -> str:
        return git(self.repository, *arguments)

    def branch(self, key: BeadKey) -> str:
        return git(self.repository, "rev-parse", f"refs/heads/bead/{key.bead_id}")

    def until(self, condition: Callable[[], object], *, what: str, seconds: float = PATIENCE) -> None:
        """Wait for a condition; fail when it does not come, or a process ended instead."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, f"{ended} ended by itself while this waited for {what}"
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.05)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


Deploy = Callable[..., Deployment]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of a test's deployments when it fails."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Deployment):
                report.sections.append(("processes of the deployment", value.logs()))  # type: ignore[attr-defined]
    return report


@pytest.fixture(scope="module")
def deploy(
    tmp_path_factory: pytest.TempPathFactory, servers: embedded.Servers, maintenance: Engine
) -> Iterator[Deploy]:
    """Given a way to make deployments of one module, each on a database and in a corner of the broker of its own.

    `times` go to `[dispatch]`, `extra` is further TOML; `broker_url` and `result_backend_url` take the place of the
    test servers' own.
    """
    made: list[Deployment] = []
    names: list[str] = []

    def make(
        *, times: str = SHORT, extra: str = "", broker_url: str = servers.broker_url, result_backend_url: str = ""
    ) -> Deployment:
        name = f"walk_{uuid.uuid4().hex}"
        with maintenance.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
        names.append(name)
        directory = tmp_path_factory.mktemp("deployment")
        literal = ROOT / "examples" / "agents" / "literal.py"
        configuration = f"""
home = "home"
database_url = {json.dumps(servers.database_url.replace("/dispatch?", f"/{name}?"))}
broker_url = {json.dumps(broker_url)}
result_backend_url = {json.dumps(result_backend_url)}
key_prefix = "{name}"
[dispatch]
{times}
[guards]
cooldown = ["100ms", "1s"]
[runners.literal]
kind = "command"
argv = [{json.dumps(sys.executable)}, {json.dumps(str(literal))}]
[roles.{ROLE}]
runners = ["literal"]
[projects.shop]
default_role = "{ROLE}"
{extra}
"""
        made.append(Deployment(directory, configuration))
        made[-1].add_project()
        return made[-1]

    yield make
    for deployment in made:
        deployment.end()
    with maintenance.connect() as connection:
        for name in names:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def walk() -> tuple[dict[str, Any], dict[str, Any], Callable[[Deployment, str], None]]:
    """Given two beads of which the second waits for the first, and the check of what is to be true at their end."""
    return FIRST, SECOND, check_walk
