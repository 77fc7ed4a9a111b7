"""Where the programs of a run run: on this host, or in a container of the run's project.

The guard starts the same way in both: a program itself, or the client of the container that the program runs in.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from dispatch.errors import ConfigurationError, ContainerError
from dispatch.models.identity import ProjectId, RunId
from dispatch.models.outcome import Failed, Outcome
from dispatch.workspaces.containers import TOLD, WORKSPACE, Container, ContainerOrchestrator
from workers.runners.base import RunnerContext, Worktree
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
    """What the guard starts: a program with its arguments, where, with all of its environment, and what it reads."""

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    stdin: Path | None = None


class Stage(Protocol):
    """Where the programs of one run run.

    `words` is the configured command line as it is found there, and `environment` what programs see.
    """

    @property
    def words(self) -> Sequence[str]: ...
    @property
    def worktree(self) -> Worktree: ...
    @property
    def environment(self) -> Mapping[str, str]: ...

    def launch(self, command: Sequence[str], *, with_prompt: bool = False) -> Launch:
        """Return what to start for a command; `with_prompt`: it reads the run's prompt from standard input."""
        ...

    def explain(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the cause of a failure that was not the agent's, where there was one."""
        ...


@dataclass(frozen=True, slots=True)
class HostStage:
    """This host: programs are processes of the worker's user."""

    words: Sequence[str]
    worktree: Worktree
    environment: Mapping[str, str]
    prompt: Path

    @classmethod
    def of(
        cls,
        context: RunnerContext,
        words: Sequence[str],
        pass_env: Sequence[str],
        env: Mapping[str, str],
        *,
        by_text: bool = False,
    ) -> "HostStage":
        """Tell an agent its work in files, and return where it does it. Raises OSError."""
        prompt = write_prompt(context, by_text=by_text)
        told = {ASSIGNMENT_VARIABLE: str(write_assignment(context)), PROMPT_VARIABLE: str(prompt)}
        environment = agent_environment(os.environ, pass_env, {**env, **told, **_session(context)})
        return cls(words, Worktree.of(context.assignment.workspace), environment, prompt)

    def launch(self, command: Sequence[str], *, with_prompt: bool = False) -> Launch:
        return Launch(command, self.worktree.here, self.environment, self.prompt if with_prompt else None)

    def explain(self, outcome: Outcome) -> Outcome:
        return outcome


@dataclass(frozen=True, slots=True)
class ContainerStage:
    """A container of the run's own. `trouble` is the file in which its client says what was not the agent's fault."""

    words: Sequence[str]
    worktree: Worktree
    environment: Mapping[str, str]
    container: Container
    directory: Path
    trouble: Path

    def launch(self, command: Sequence[str], *, with_prompt: bool = False) -> Launch:
        order = Order(self.container, self.environment, self.trouble, f"{TOLD}/{PROMPT_FILE}" if with_prompt else "")
        search_path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
        return Launch(
            command=[sys.executable, "-P", "-X", "utf8", "-m", _CLIENT_MODULE, *command],
            directory=self.directory,
            environment={"PYTHONPATH": search_path, ORDER_VARIABLE: order.written()},
        )

    def explain(self, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Failed) or not self.trouble.exists():
            return outcome
        told = json.loads(self.trouble.read_text(encoding="utf-8"))
        return outcome.model_copy(update={"cause": told["cause"], "summary": told["summary"]})


def was_contained(run_directory: Path) -> bool:
    """Tell whether a run on this host was given a container."""
    return (run_directory / TOLD_DIRECTORY).exists()


class Containment:
    """Starts agents in containers of their projects."""

    def __init__(self, containers: ContainerOrchestrator) -> None:
        self._containers = containers

    @contextmanager
    def stage(
        self,
        context: RunnerContext,
        argv: Sequence[str],
        script: int | None,
        pass_env: Sequence[str],
        *,
        by_text: bool = False,
    ) -> Iterator[ContainerStage | Failed]:
        """Make the container of a run, and give it to the block; after the block it is gone.

        `argv` is found in the image, but for the argument at `script`: a file of this host that is shown inside. The
        agent's environment is that of the image, the locale, and `pass_env`. Raises OSError.
        """
        told = _write_told(context, by_text=by_text)
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
            worktree = Worktree(assignment.workspace, Path(WORKSPACE))
            environment = _environment(context, pass_env)
            yield ContainerStage(words, worktree, environment, container, context.run_directory, trouble)
        finally:
            self._containers.remove(container)


def _write_told(context: RunnerContext, *, by_text: bool) -> Path:
    """Write the files that tell an agent its work, with the paths inside; return their directory.

    The agent is another user inside and may read them all. Outside nobody can: they lie in the run's directory.
    """
    told = context.run_directory.absolute() / TOLD_DIRECTORY
    inside = context.assignment.model_copy(update={"workspace": Path(WORKSPACE)})
    view = replace(context, assignment=inside, run_directory=told)
    context.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (write_assignment(view), write_prompt(view, by_text=by_text)):
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
