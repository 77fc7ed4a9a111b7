"""A whole deployment as users run it, `dispatch up` on a home of its own, and how to find each process of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

from dispatch import embedded
from dispatch.cli.supervisor import tail
from dispatch.cli.upkeep import prepare_store
from dispatch.exchange import import_file
from dispatch.models.event import Event
from dispatch.models.identity import ProjectId
from dispatch.models.run import Run
from dispatch.models.states import RunState
from dispatch.settings import load_settings
from dispatch.store import is_unavailable
from tests.chaos.plan import ROLES, Plan

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SHOP = ProjectId("shop")
WORKERS = ("north", "south")
_UP_ENDS_WITHIN = 90.0
_LEFT_ENDS_WITHIN = 15.0
_CONFIGURATION = """
home = "home"
[dispatch]
tick_interval = "1s"
heartbeat = "500ms"
lease = "3s"
republish_after = "4s"
[guards]
cooldown = ["100ms", "1s"]
max_failures = 10
[workers.north]
roles = ["{0}", "{2}", "{3}"]
concurrency = 3
[workers.south]
roles = ["{1}", "{2}", "{3}"]
concurrency = 3
[runners.shell]
kind = "command"
argv = ["sh", {agent}]
[runners.function]
kind = "python"
target = "tests.chaos.agent:work"
[roles.{0}]
runners = ["shell"]
[roles.{1}]
runners = ["function"]
[roles.{2}]
runners = ["shell"]
[roles.{3}]
runners = ["function"]
[projects.shop]
path = "repository"
default_role = "{0}"
"""


class Deployment:
    """A home with its servers, a project with the beads of a plan, and a `dispatch up` that works on them."""

    def __init__(self, directory: Path, plan: Plan) -> None:
        self.directory = directory.resolve()
        configuration = self.directory / "dispatch.toml"
        configuration.write_text(_CONFIGURATION.format(*ROLES, agent=json.dumps(str(HERE / "agent.sh"))))
        _make_repository(self.directory / "repository")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("DISPATCH_")}
        self._environment |= {"DISPATCH_CONFIG": str(configuration), "PYTHONPATH": str(ROOT)}
        self.settings = load_settings(config=configuration, environ={}, cwd=self.directory)
        self.home = self.settings.home
        self.store = prepare_store(self.settings)
        beads = self.directory / "beads.jsonl"
        beads.write_text("".join(f"{json.dumps(bead.document())}\n" for bead in plan.work))
        imported = import_file(self.store, SHOP, beads, settings=self.settings)
        assert not imported.problems, imported.problems
        self.up: subprocess.Popen[bytes] | None = None
        self.output = self.directory / "up.txt"

    # Its life

    def start(self) -> None:
        """Start `dispatch up`."""
        with self.output.open("wb") as output:
            self.up = subprocess.Popen(
                [sys.executable, "-c", "from dispatch.cli import main; main()", "up"],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def is_up(self) -> bool:
        return self.up is not None and self.up.poll() is None

    def stop(self) -> int:
        """Ask `dispatch up` to end, wait until it has, and return its exit code; kill it when it takes long."""
        assert self.up is not None, "start() comes first"
        self.up.send_signal(signal.SIGTERM)
        try:
            return self.up.wait(_UP_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.up.kill()
            return self.up.wait()

    def purge(self) -> None:
        """End all that is left, and remove what the servers kept."""
        if self.up is not None and self.up.poll() is None:
            self.up.kill()
            self.up.wait()
        self.store.close()
        self.left(servers=False)
        for process in self._ours():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        embedded.purge(self.home)

    def left(self, *, servers: bool) -> list[str]:
        """Wait until no process of the deployment is left; return those that do not end, with the servers or not."""
        deadline = time.monotonic() + _LEFT_ENDS_WITHIN
        while True:
            left = [_describe(process) for process in self._ours() if servers or not self._serves(process)]
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(0.1)

    def _ours(self) -> Iterator[psutil.Process]:
        """Go through the processes that know our home, work below our directory or name it."""
        data = embedded.inspect(self.home).postgres.data
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                place = Path(process.cwd())
                ours = process.environ().get("DISPATCH_HOME") == str(self.home) or place == data
                if ours or place.is_relative_to(self.directory) or str(self.directory) in " ".join(process.cmdline()):
                    yield process

    def _serves(self, process: psutil.Process) -> bool:
        found = embedded.inspect(self.home)
        servers = {found.keeper_pid, found.postgres.pid, found.valkey.pid}
        with suppress(psutil.NoSuchProcess):
            return process.pid in servers or process.ppid() in servers
        return True

    # Its processes

    def programs(self) -> dict[str, psutil.Process]:
        """Return the main process of each program that runs, by its name."""
        found: dict[str, psutil.Process] = {}
        if self.up is not None:
            with suppress(psutil.NoSuchProcess):
                for leash in psutil.Process(self.up.pid).children():
                    with suppress(psutil.NoSuchProcess, IndexError):
                        command = leash.cmdline()
                        if "celery" in command:  # else it is a keeper, which `up` started when theirs was killed
                            found[_program_name(command)] = leash.children()[0]
        return found

    def pool(self, main: psutil.Process) -> list[psutil.Process]:
        """Return the pool processes of a worker."""
        with suppress(psutil.NoSuchProcess):
            command = main.cmdline()
            return [child for child in main.children() if child.cmdline() == command]
        return []

    def at_work(self) -> list[tuple[Run, psutil.Process]]:
        """Return the runs whose agents work, each with the pool process that executes it."""
        pools = {child.pid: child for name in WORKERS for child in self._pool_of(name)}
        found = []
        nobody: list[Run] = []
        for run in self.ask(lambda: self.store.reading.runs(open_only=True), nobody):
            if run.state is RunState.RUNNING and run.process_group is not None:
                with suppress(psutil.NoSuchProcess):
                    parents = (parent.pid for parent in psutil.Process(run.process_group).parents())
                    found += [(run, pools[pid]) for pid in parents if pid in pools]
        return found

    def _pool_of(self, name: str) -> list[psutil.Process]:
        main = self.programs().get(name)
        return self.pool(main) if main is not None else []

    def sessions(self) -> list[psutil.Process]:
        """Return PostgreSQL's processes that serve clients."""
        found = []
        pid = embedded.inspect(self.home).postgres.pid
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(pid).children():
                    with suppress(psutil.NoSuchProcess):
                        found += [child] if "[local]" in " ".join(child.cmdline()) else []
        return found

    # Its beads

    def ask(self, question: Callable[[], T], otherwise: T) -> T:
        """Ask the database; while it is away, the answer is another."""
        try:
            return question()
        except Exception as error:
            if not is_unavailable(error):
                raise
            return otherwise

    def closed(self) -> int | None:
        """Return how many beads are closed, None while the database is away."""
        counts = self.ask(lambda: self.store.reading.counts(SHOP), None)
        return None if counts is None else counts.get("closed", 0)

    def history(self) -> list[Event]:
        """Return all that happened, in order."""
        return self.store.reading.events_after(0, limit=1_000_000)

    def tails(self) -> str:
        """Return the ends of all logs."""
        logs = [*sorted((self.home / "logs").glob("*.log")), self.home / "run" / "keeper.log"]
        logs += [self.home / "postgres" / "log", self.home / "valkey" / "log", self.output]
        return "\n".join(f"--- {log.name} ({log.parent.name})\n{tail(log, 40)}" for log in logs)


def _program_name(command: list[str]) -> str:
    """Return the name of a program that a leash holds: a worker's own, else the Celery command."""
    return command[command.index("-n") + 1].partition("@")[0] if "-n" in command else command[command.index("-A") + 2]


def _describe(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    return str(process.pid)


def _make_repository(path: Path) -> None:
    path.mkdir()
    commands = (
        ["init", "--quiet", "--initial-branch=main"],
        ["config", "user.name", "Somebody"],
        ["config", "user.email", "somebody@localhost"],
        ["commit", "--quiet", "--allow-empty", "-m", "Begin"],
    )
    for arguments in commands:
        subprocess.run(["git", *arguments], cwd=path, check=True)
