"""A run as the worker would give it to a runner, with everything it reports recorded."""

import select
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from dispatch.models.messages import AgentEvent, AssignedBead, AssignedProject, Assignment, ProgressEvent
from dispatch.models.outcome import Outcome
from workers.runners import CommandRunner, ProcessIdentity, PythonRunner, RunControl, Runner, RunnerContext

PATIENCE = 60
"""Seconds after which a test gives up waiting for a process."""


class Stage:
    """One run. `reactions` are called with each progress message, by the runner's thread."""

    def __init__(self, assignment: Assignment, run_directory: Path, **limits: float) -> None:
        self.events: list[AgentEvent] = []
        self.identities: list[ProcessIdentity] = []
        self.reactions: list[Callable[[str], None]] = []
        self.context = RunnerContext(
            assignment=assignment,
            run_directory=run_directory,
            control=RunControl(),
            on_event=self.take,
            on_process=self.identities.append,
            **limits,
        )

    @property
    def control(self) -> RunControl:
        return self.context.control

    @property
    def messages(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, ProgressEvent)]

    @property
    def log(self) -> str:
        return (self.context.run_directory / "agent.log").read_text(errors="replace")

    def take(self, event: AgentEvent) -> None:
        self.events.append(event)
        if isinstance(event, ProgressEvent):
            for react in self.reactions:
                react(event.message)

    def when(self, message: str, react: Callable[[], object]) -> None:
        self.reactions.append(lambda heard: react() if heard == message else None)

    def run(self, runner: Runner) -> Outcome:
        return runner.run(self.context)

    def run_in_thread(self, runner: Runner) -> "RunningStage":
        return RunningStage(self, runner)

    @property
    def pids(self) -> list[int]:
        """The process numbers that the agent told in a message `pids 1 2 3`."""
        return [int(word) for message in self.messages if message.startswith("pids ") for word in message.split()[1:]]


class RunningStage(threading.Thread):
    """A run in a thread of its own, as in a threads pool."""

    def __init__(self, stage: Stage, runner: Runner) -> None:
        super().__init__()
        self.outcome: Outcome | None = None
        self._stage = stage
        self._runner = runner
        self.start()

    def run(self) -> None:
        self.outcome = self._stage.run(self._runner)

    def result(self) -> Outcome:
        self.join(PATIENCE)
        assert self.outcome is not None
        return self.outcome


@pytest.fixture
def make_stage(tmp_path: Path) -> Callable[..., Stage]:
    count = iter(range(1000))

    def make(*, timeout: float = 60, bead: dict[str, Any] | None = None, **limits: Any) -> Stage:
        number = next(count)
        workspace = tmp_path / "workspace"
        workspace.mkdir(exist_ok=True)
        assignment = Assignment(
            run_id=uuid.uuid4(),
            attempt=limits.pop("attempt", 1),
            role="backend-engineer",
            timeout_seconds=timeout,
            workspace=workspace,
            project=AssignedProject(id="shop", target_branch="main", test_command=limits.pop("test_command", ())),
            bead=AssignedBead(**{"id": "shop-1", "title": "A bead", **(bead or {})}),
        )
        return Stage(assignment, tmp_path / "runs" / str(number), **{"stop_grace": 0.3, **limits})

    return make


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., CommandRunner]:
    """Make a runner for an agent written in Python."""
    count = iter(range(1000))

    def make(source: str, **options: Any) -> CommandRunner:
        path = tmp_path / f"agent{next(count)}.py"
        path.write_text(PRELUDE + dedent(source))
        return CommandRunner([sys.executable, "-I", "-S", str(path)], **options)

    return make


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., PythonRunner]]:
    """Make a runner for a function `work` of a module with the given source."""
    made: list[PythonRunner] = []
    modules = tmp_path / "modules"
    modules.mkdir()
    monkeypatch.syspath_prepend(modules)

    def make(source: str, **options: Any) -> PythonRunner:
        name = f"agent_module_{len(made)}"
        (modules / f"{name}.py").write_text(PRELUDE + dedent(source))
        made.append(PythonRunner(f"{name}:work", **options))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


PRELUDE = dedent(
    '''
    import json, os, signal, sys, time

    def say(message, **event):
        event = {"type": "progress", "message": message, **event}
        os.write(1, (json.dumps(event) + "\\n").encode())

    def forever():
        while True:
            time.sleep(1000)

    def ignore_sigterm():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def spawn(*steps):
        """Fork a process that goes through the steps and then stays; return its pid."""
        reader, writer = os.pipe()
        if os.fork() == 0:
            for step in steps:
                step()
            os.write(writer, str(os.getpid()).encode())
            forever()
        return int(os.read(reader, 100))

    def fork_again():
        if os.fork():
            os._exit(0)

    def family():
        """Start what is hard to end: stubborn children, and a daemon that left the group and the session."""
        ignore_sigterm()
        return [os.getpid(), spawn(), spawn(os.setpgrp), spawn(os.setsid), spawn(os.setsid, fork_again)]

    def tell_family():
        say("pids " + " ".join(map(str, family())))
    '''
)


def living(pids: Sequence[int]) -> list[int]:
    """Return those of the processes that still run."""
    assert pids, "the agent told no process numbers"
    alive = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                alive.append(pid)
        except psutil.NoSuchProcess:
            continue
    return alive


def await_gone(pids: Sequence[int]) -> None:
    """Wait until none of the processes runs."""
    give_up_at = time.monotonic() + PATIENCE
    while alive := living(pids):
        assert time.monotonic() < give_up_at, f"{alive} still run"
        select.select((), (), (), 0.02)


@pytest.fixture(name="living")
def _living() -> Callable[[Sequence[int]], list[int]]:
    return living


@pytest.fixture(name="await_gone")
def _await_gone() -> Callable[[Sequence[int]], None]:
    return await_gone
