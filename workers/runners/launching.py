"""What the guard starts for an agent: its program itself, or the client of a container that the program runs in."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dispatch.errors import ConfigurationError, ContainerError
from dispatch.models.identity import ProjectId, RunId
from dispatch.models.outcome import Failed, Outcome
from dispatch.workspaces.containers import TOLD, WORKSPACE, ContainerOrchestrator
from workers.runners.base import RunnerContext
from workers.runners.container_order import ORDER_VARIABLE, Order
from workers.runners.environment import (
    ASSIGNMENT_VARIABLE,
    PROMPT_VARIABLE,
    SESSION_VARIABLE,
    agent_environment,
)
from workers.runners.run_files import ASSIGNMENT_FILE, PROMPT_FILE, write_assignment, write_prompt

NO_IMAGE_NAMED = "not isolated"
TOLD_DIRECTORY = "told"
_TROUBLE_FILE = "container-trouble.json"
_CLIENT_MODULE = "workers.runners.contained"
_OF_THIS_HOST = ("PATH", "HOME", "TMPDIR")
"""Variables that mean nothing in a container: it has its own."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A program with its arguments, where it is started, and all of its environment.

    `trouble` is the file that explains a failure which was not the agent's.
    """

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    trouble: Path | None = None

    def explain(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the cause that the container's client left, when the run failed for that."""
        if self.trouble is None or not isinstance(outcome, Failed) or not self.trouble.exists():
            return outcome
        told = json.loads(self.trouble.read_text(encoding="utf-8"))
        return outcome.model_copy(update={"cause": told["cause"], "summary": told["summary"]})


def launch_here(
    context: RunnerContext, command: Sequence[str], pass_env: Sequence[str], env: Mapping[str, str]
) -> Launch:
    """Return how to start an agent as a process of this host. Raises OSError."""
    told = {ASSIGNMENT_VARIABLE: str(write_assignment(context)), PROMPT_VARIABLE: str(write_prompt(context))}
    environment = agent_environment(os.environ, pass_env, {**env, **told, **_session(context)})
    return Launch(command, context.assignment.workspace, environment)


def was_contained(run_directory: Path) -> bool:
    """Tell whether a run on this host was given a container."""
    return (run_directory / TOLD_DIRECTORY).exists()


class Containment:
    """Starts agents in containers of their projects."""

    def __init__(self, containers: ContainerOrchestrator) -> None:
        self._containers = containers

    @contextmanager
    def launch(
        self, context: RunnerContext, argv: Sequence[str], script: int | None, pass_env: Sequence[str]
    ) -> Iterator[Launch | Failed]:
        """Make the container of a run, and give how to start its agent in it; after the block it is gone.

        `argv` is found in the image, but for the argument at `script`: a file of this host that is shown inside. The
        agent's environment is that of the image, the locale, and `pass_env`. Raises OSError.
        """
        told = _write_told(context)
        trouble = context.run_directory / _TROUBLE_FILE
        trouble.unlink(missing_ok=True)
        words = list(argv)
        if script is not None:
            words[script] = _show(Path(words[script]), told)
        assignment = context.assignment
        try:
            container = self._containers.create(
                ProjectId(assignment.project.id), assignment.workspace, run_id=RunId(assignment.run_id), told=told
            )
        except ContainerError as error:
            yield Failed(cause=error.cause, summary=str(error))
            return
        except ConfigurationError as error:
            yield Failed(cause=NO_IMAGE_NAMED, summary=str(error))
            return
        try:
            yield _of_client(Order(container, _environment(context, pass_env), trouble), words, context.run_directory)
        finally:
            self._containers.remove(container)


def _of_client(order: Order, words: Sequence[str], directory: Path) -> Launch:
    search_path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    return Launch(
        command=[sys.executable, "-P", "-X", "utf8", "-m", _CLIENT_MODULE, *words],
        directory=directory,
        environment={"PYTHONPATH": search_path, ORDER_VARIABLE: order.written()},
        trouble=order.trouble,
    )


def _write_told(context: RunnerContext) -> Path:
    """Write the files that tell an agent its work, with the paths inside; return their directory.

    The agent is another user inside and may read them all. Outside nobody can: they lie in the run's directory.
    """
    told = context.run_directory.absolute() / TOLD_DIRECTORY
    inside = context.assignment.model_copy(update={"workspace": Path(WORKSPACE)})
    view = replace(context, assignment=inside, run_directory=told)
    context.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (write_assignment(view), write_prompt(view)):
        path.chmod(0o444)
    told.chmod(0o755)
    return told


def _show(script: Path, told: Path) -> str:
    """Copy a script to the files that are shown inside; return its path there."""
    shown = told / f"program-{script.name}"
    shown.unlink(missing_ok=True)
    shutil.copyfile(script, shown)
    shown.chmod(0o555)
    return f"{TOLD}/{shown.name}"


def _environment(context: RunnerContext, pass_env: Sequence[str]) -> dict[str, str]:
    passed = agent_environment(os.environ, pass_env)
    kept = {name: value for name, value in passed.items() if name not in _OF_THIS_HOST}
    told = {ASSIGNMENT_VARIABLE: f"{TOLD}/{ASSIGNMENT_FILE}", PROMPT_VARIABLE: f"{TOLD}/{PROMPT_FILE}"}
    return kept | told | _session(context)


def _session(context: RunnerContext) -> dict[str, str]:
    session = context.assignment.session
    return {SESSION_VARIABLE: session.id} if session is not None and session.id else {}
