"""One program in a container, beside the first process: an agent, or a command of somebody who waits for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dispatch.errors import ContainerError
from dispatch.workspaces.containers.confinement import HOME, WORKSPACE
from dispatch.workspaces.containers.engine import Engine

KILLED = 137
"""The exit code of a program that SIGKILL ended."""
ENDED = "container ended"
_CODE_PATIENCE = 5.0
"""Seconds after the end of a program's output in which its engine may learn how it ended."""
_CODE_ROUND = 0.05


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was made. It can be told to another process, which may then run programs in it.

    `engine` is the address of the engine that has it, `user` who programs are in it (`uid:gid`).
    """

    id: str
    engine: str
    user: str


class Program:
    """A program that is ready to run in a running container, in the worktree. Source: SPEC, "Containers"."""

    def __init__(self, engine: Engine, container: Container, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._engine = engine
        self._container_id = container.id
        environment = {"HOME": HOME, **env}
        try:
            self.id = engine.prepare_program(
                container.id, argv, user=container.user, directory=WORKSPACE, env=environment
            )
        except ContainerError as error:
            raise self._explained(error) from error

    def run(self, take: Callable[[int, bytes], None]) -> int:
        """Run it to its end and return its exit code; `take` gets what it prints, from descriptor 1 or 2.

        One that a signal ended has the code of a shell: 128 and the number. Raises ContainerError.
        """
        for descriptor, text in self._engine.run_program(self.id):
            take(descriptor, text)
        give_up_at = time.monotonic() + _CODE_PATIENCE
        while (code := self._code()) is None:
            if time.monotonic() > give_up_at:
                return KILLED
            time.sleep(_CODE_ROUND)
        return code

    def _code(self) -> int | None:
        try:
            return self._engine.exit_code(self.id)
        except ContainerError as error:
            raise self._explained(error) from error

    def _explained(self, error: ContainerError) -> ContainerError:
        """Return why the engine knows nothing of a program any more, or will not have it."""
        if self._engine.is_running(self._container_id):
            return error
        return ContainerError(
            cause=ENDED,
            problem="The container ended under the program that ran in it",
            cure="Was it removed by hand, or too small for its first process? Look at the limits of the project.",
        )


def signal_all(engine: Engine, container: Container, name: str) -> bool:
    """Send a signal to every process of the agent's user in a container; False when none could be started to do it."""
    script = f"kill -{name} -1 || :"
    return Program(engine, container, ("sh", "-c", script), {}).run(lambda _descriptor, _text: None) == 0
