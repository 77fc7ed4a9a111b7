"""The processes of one side: started by their names, watched, and ended whole."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.parts.waiting import BenchmarkError, wait_for
from dispatch.cli import deployment
from dispatch.cli.sessions import SessionRecord
from dispatch.cli.supervisor import Program, Supervisor, tail
from dispatch.cli.upkeep import program_grace
from dispatch.settings import Settings

_OURS = "DISPATCH_"
_DOWN_SECONDS = 30
_BARE_APPLICATION = "benchmarks.parts.bare"


def dispatch_programs(settings: Settings) -> list[Program]:
    """Return what `dispatch up` starts, without Flower; PostgreSQL's log knows each program by its name."""
    nobody = deployment.FlowerAccess(port=0, password="")
    programs = [*deployment.agent_workers(settings), *deployment.services(settings, nobody)]
    return [
        replace(program, environment={"PGAPPNAME": program.name})
        for program in programs
        if program.name != deployment.FLOWER
    ]


def bare_programs(settings: Settings, key_prefix: str) -> list[Program]:
    """Return the same workers, with the same options, for bare tasks: they execute, run bodies, and publish."""
    agents = deployment.agent_workers(settings)
    wanted = {*(program.name for program in agents), deployment.SETTLER, deployment.TICKER}
    return [
        replace(
            program,
            command=tuple(_BARE_APPLICATION if word == "workers" else word for word in program.command),
            environment={"DISPATCH_KEY_PREFIX": key_prefix},
        )
        for program in dispatch_programs(settings)
        if program.name in wanted
    ]


class Programs:
    """The running programs of one side."""

    def __init__(self, supervisor: Supervisor, names: Sequence[str], logs: Path) -> None:
        self._supervisor = supervisor
        self._names = tuple(names)
        self._logs = logs

    @property
    def sessions(self) -> dict[str, int]:
        """The pid of the process that holds each program, by the program's name."""
        found = {name: self._supervisor.session_of(name) for name in self._names}
        return {name: session for name, session in found.items() if session is not None}

    def main_process(self, name: str) -> psutil.Process:
        """Return the program itself: what its holder started."""
        (main,) = psutil.Process(self.sessions[name]).children()
        return main

    def require_alive(self) -> None:
        """Raise `BenchmarkError` with the end of its log when a program ended by itself."""
        for notice in self._supervisor.look(time.monotonic()):
            raise BenchmarkError(f"{notice.text}\n{tail(self._logs / f'{notice.program}.log', 40)}")

    def end(self) -> None:
        self._supervisor.stop()
        try:
            wait_for(self._is_over, "the programs' end", seconds=_DOWN_SECONDS)
        except BenchmarkError:
            self._supervisor.kill()
            wait_for(self._is_over, "the programs' end by force", seconds=_DOWN_SECONDS)

    def _is_over(self) -> bool:
        self._supervisor.look(time.monotonic())
        return not self._supervisor.alive()

    def last_words(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(f"--- {name}\n{tail(self._logs / f'{name}.log')}" for name in self._names)


@contextmanager
def running(
    programs: Sequence[Program], settings: Settings, directory: Path, environ: Mapping[str, str] = os.environ
) -> Iterator[Programs]:
    """Run programs for a block, in a directory that takes their logs.

    Nothing that the caller's environment says of a deployment reaches them: they use the one of `settings`.
    """
    logs = directory / "logs"
    kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
    supervisor = Supervisor(
        programs,
        directory=directory,
        logs=logs,
        environment=deployment.environment(settings, kept),
        record=SessionRecord(directory / "sessions", settings.home),
        grace=program_grace(settings),
    )
    started = Programs(supervisor, [program.name for program in programs], logs)
    try:
        supervisor.start(time.monotonic())
        yield started
    except BaseException as error:
        error.add_note(started.last_words())
        raise
    finally:
        started.end()
