"""A command in a container that somebody waits for, and for no longer than it may take."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from threading import Thread

from dispatch.errors import ContainerError
from dispatch.workspaces.containers.engine import Engine
from dispatch.workspaces.containers.program import ENDED, Container, Program, signal_all

_ROUND = 0.1
_LOOK = 0.5
"""Seconds between two looks whether a command has ended while something that it left holds its output open."""
_KILL_PATIENCE = 5.0
"""Seconds that killed processes may take to end before their container is ended."""
_ROOM_TO_KILL = 32
"""Processes and threads that a full container may have beyond its limit while what fills it is killed.

The runtime needs some ten to start a program, and those count.
"""


def run_command(
    container: Container,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    timeout: float,
    take: Callable[[bytes], None],
    end_container: Callable[[], None],
) -> int | None:
    """Run a command in the worktree, as the agent's user; return its exit code, None when it took too long.

    `take` gets what it prints. After `timeout` seconds, or when the command has ended and what it left holds its output
    open, everything of that user in the container is killed; where not even that helps, `end_container` is called.
    Raises ContainerError.
    """
    with closing(Engine.open(container.engine)) as engine:
        command = _Command(container, argv, env, take)
        command.start()
        in_time = command.ends_within(timeout, engine)
        give_up_at = time.monotonic() + _KILL_PATIENCE
        while command.is_alive() and time.monotonic() < give_up_at:  # it may just be about to start
            _kill_all(engine, container)
            command.join(_ROUND)
    if command.is_alive():
        end_container()
        command.join(_KILL_PATIENCE)
    return command.code(in_time)


def end_all(container: Container) -> None:
    """Kill everything of the agent's user in a container. Raises ContainerError when that cannot be made sure of."""
    with closing(Engine.open(container.engine)) as engine:
        give_up_at = time.monotonic() + _KILL_PATIENCE
        while not _kill_all(engine, container):  # what is to be killed may be quicker, and kill the killer
            if time.monotonic() > give_up_at:
                raise ContainerError(
                    cause=ENDED,
                    problem="What a command left running in the container could not be killed, so it is ended",
                    cure="Does it start processes without end? Look at pids of the project.",
                )
            time.sleep(_ROUND)


def _kill_all(engine: Engine, container: Container) -> bool:
    """Kill everything of the agent's user, once; False when no process could be started to do it.

    That is so where the container has as many processes as it may, and nothing that fills it ends by itself: then it
    is given room for one more program, as long as that takes.
    """
    if signal_all(engine, container, "KILL"):
        return True
    try:
        limit = engine.process_limit(container.id)
        if not limit:
            return False
        engine.limit_processes(container.id, limit + _ROOM_TO_KILL)
    except ContainerError:  # the container has ended, or this engine cannot: the next try tells
        return False
    try:
        return signal_all(engine, container, "KILL")
    finally:
        with suppress(ContainerError):  # it has ended meanwhile
            engine.limit_processes(container.id, limit)


class _Command(Thread):
    """A command that runs in a container while its caller watches the time."""

    def __init__(
        self, container: Container, argv: Sequence[str], env: Mapping[str, str], take: Callable[[bytes], None]
    ) -> None:
        super().__init__(name=f"container-{container.id[:12]}", daemon=True)
        self._container, self._argv, self._env, self._take = container, argv, env, take
        self._program_id = ""
        self._code: int | None = None
        self._error: ContainerError | None = None

    def run(self) -> None:
        try:
            with closing(Engine.open(self._container.engine)) as engine:
                program = Program(engine, self._container, self._argv, self._env)
                self._program_id = program.id
                self._code = program.run(lambda _descriptor, text: self._take(text))
        except ContainerError as error:
            self._error = error

    def ends_within(self, timeout: float, engine: Engine) -> bool:
        """Wait until it ends; False when that takes longer. Its output may still be held open then."""
        deadline = time.monotonic() + timeout
        while self.is_alive():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.join(min(left, _LOOK))
            if self.is_alive() and self._has_ended(engine):
                return True
        return True

    def _has_ended(self, engine: Engine) -> bool:
        with suppress(ContainerError):  # the engine is away: the thread notices where it reads
            return bool(self._program_id) and engine.exit_code(self._program_id) is not None
        return False

    def code(self, in_time: bool) -> int | None:
        if self._error is not None and in_time:
            raise self._error
        return self._code if in_time else None
