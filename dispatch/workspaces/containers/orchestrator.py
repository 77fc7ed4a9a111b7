"""Containers for runs and for the commands of a project: made, used, and surely removed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from dispatch.errors import ConfigurationError, ContainerError, RefusedError
from dispatch.models.identity import ProjectId, RunId
from dispatch.settings import Isolation, ProjectSettings, Settings
from dispatch.workspaces.containers.command import run_command
from dispatch.workspaces.containers.confinement import (
    TOLD,
    WORKSPACE,
    check_limits,
    choose_users,
    give,
    host_options,
)
from dispatch.workspaces.containers.engine import ENGINE_FAILED, PATIENCE, Engine, EngineFacts
from dispatch.workspaces.containers.labels import RUN, deployment_labels, labels_of, owner_lives
from dispatch.workspaces.containers.lifeline import KEEPER, Lifeline
from dispatch.workspaces.containers.program import Container
from dispatch.workspaces.processes import Finished

OUTPUT_LIMIT = 16_384
"""Bytes of a command's output that are kept: its end."""
_PATIENCE = 15.0
"""Seconds within which a container that is removed has to be gone."""
_ROUND = 0.1
_COLLECTING_PATIENCE = 5.0
"""Seconds for an answer while containers are collected: other housekeeping waits behind it."""


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container that lives as long as this process holds its lifeline."""

    container: Container
    lifeline: Lifeline


class ContainerOrchestrator:
    """Makes and removes the containers of this host's runs. Source: SPEC, "Swarm, worktrees, containers, landing".

    The container of a project is made from its image, sees its run's worktree and nothing else of this host, and ends
    with the process that started it. Any thread and any process may use one. All methods raise ContainerError when
    the engine is away or refuses, with a `cause` that stays the same for the same trouble.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def is_used(self) -> bool:
        """Whether anything in the configuration needs containers."""
        isolated = any(runner.isolation is Isolation.CONTAINER for runner in self._settings.runners.values())
        return isolated or any(project.image for project in self._settings.projects.values())

    def has_image(self, project_id: ProjectId) -> bool:
        return bool(self._settings.project(project_id).image)

    def create(
        self, project_id: ProjectId, worktree: Path, *, run_id: RunId | None = None, told: Path | None = None
    ) -> Container:
        """Make a container and do not start it: whoever starts it with a `Lifeline` is whom it ends with.

        `told` is a directory that is shown inside, read-only. Raises ConfigurationError for a project without an image.
        """
        project = self._project(project_id)
        with self._engine() as engine:
            facts = engine.facts()
            users = choose_users(facts)
            check_limits(project_id, project, facts)
            engine.require_image(project.image, project_id)
            give(worktree, users)
            binds = {worktree.absolute(): (WORKSPACE, "rw")}
            if told is not None:
                binds[told.absolute()] = (TOLD, "ro")
            container_id = engine.create(
                project.image,
                KEEPER,
                host_options(project, users, binds),
                user=users.keeper,
                working_dir="/",
                stop_signal="SIGKILL",
                labels=labels_of(self._settings, project_id, run_id),
            )
            return Container(container_id, engine.address, users.agent)

    def start(self, project_id: ProjectId, worktree: Path, *, run_id: RunId | None = None) -> RunningContainer:
        """Start a container that ends when this process does, or with `stop`.

        Raises ConfigurationError for a project without an image.
        """
        container = self.create(project_id, worktree, run_id=run_id)
        try:
            with self._engine(container.engine) as engine:
                return RunningContainer(container, Lifeline.begin(engine, container.id))
        except BaseException:
            self.remove(container)
            raise

    def exec(
        self,
        running: RunningContainer,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        keep: int = OUTPUT_LIMIT,
    ) -> Finished:
        """Run a command in the worktree, as the agent's user; return its exit code and the last `keep` bytes of output.

        After `timeout` seconds everything of that user in the container is killed and the code is None; the container
        goes on, unless that does not end the command. A program that the image does not have has the code 127 or 126.
        """
        tail = bytearray()

        def take(text: bytes) -> None:
            tail.extend(text)
            del tail[: max(0, len(tail) - keep)]

        code = run_command(
            running.container,
            argv,
            env or {},
            timeout=timeout,
            take=take,
            end_container=lambda: self.stop(running),
        )
        return Finished(code, bytes(tail))

    def stop(self, running: RunningContainer) -> None:
        """End a container with all that runs in it, and remove it. Stopping it again does nothing.

        Raises RefusedError when it is still there after some seconds.
        """
        try:
            self.remove(running.container)
        finally:
            running.lifeline.cut()

    def remove(self, container: Container) -> None:
        """Remove a container, running or not, and return when it is gone."""
        with self._engine(container.engine) as engine:
            _remove(engine, container.id)

    def run(
        self, project_id: ProjectId, worktree: Path, argv: Sequence[str], *, timeout: float, keep: int = OUTPUT_LIMIT
    ) -> Finished:
        """Run one command of a project in a container of its own; nothing of it is left when this returns."""
        running = self.start(project_id, worktree)
        try:
            return self.exec(running, argv, timeout=timeout, keep=keep)
        finally:
            self.stop(running)

    def end_run(self, run_id: RunId) -> bool:
        """Remove what an earlier attempt left here; return whether there was anything."""
        with self._engine() as engine:
            left = engine.labelled(deployment_labels(self._settings) | {RUN: str(run_id)})
            for found in left:
                _remove(engine, found.id)
        return bool(left)

    def collect(self, keep: Callable[[RunId], bool]) -> list[str]:
        """Remove the containers of this deployment and host that nobody needs any more; return their ids.

        Those are the ones of runs that `keep` does not want, and those for commands whose process is gone. A container
        of another deployment, or of anybody else, is never touched. An engine that hangs is given up soon.
        """
        with self._engine(timeout=_COLLECTING_PATIENCE) as engine:
            left = [
                found
                for found in engine.labelled(deployment_labels(self._settings))
                if not _is_wanted(found.labels, keep)
            ]
            for found in left:
                _remove(engine, found.id)
        return [found.id for found in left]

    def examine(self) -> EngineFacts:
        """Return what the engine of this host is; raises ContainerError when it could not isolate anything."""
        with self._engine() as engine:
            facts = engine.facts()
        choose_users(facts)
        return facts

    def examine_project(self, project_id: ProjectId) -> str:
        """Return the image of a project when a container could be made from it now."""
        project = self._project(project_id)
        with self._engine() as engine:
            check_limits(project_id, project, engine.facts())
            engine.require_image(project.image, project_id)
        return project.image

    def _project(self, project_id: ProjectId) -> ProjectSettings:
        project = self._settings.project(project_id)
        if not project.image:
            raise ConfigurationError(
                place=str(self._settings.config_file or "dispatch.toml"),
                problem=f"the project {project_id} has no image to make a container from",
                cure=f'Name one: image = "registry/name:tag" in [projects.{project_id}].',
            )
        return project

    @contextmanager
    def _engine(self, address: str = "", *, timeout: float = PATIENCE) -> Iterator[Engine]:
        engine = Engine.open(address or self._settings.containers.engine, timeout=timeout)
        try:
            yield engine
        finally:
            engine.close()


def _is_wanted(labels: Mapping[str, str], keep: Callable[[RunId], bool]) -> bool:
    run_id = labels.get(RUN)
    return owner_lives(labels) if run_id is None else keep(RunId(UUID(run_id)))


def _remove(engine: Engine, container_id: str) -> None:
    """Remove a container and see that it is gone. One that is ending by itself may refuse: then it is asked again."""
    give_up_at = time.monotonic() + _PATIENCE
    refusal = ""
    while engine.has(container_id):
        if time.monotonic() > give_up_at:
            raise RefusedError(
                problem=f"The container {container_id[:12]} at {engine.address} does not end. {refusal}".rstrip(". "),
                cure="Look at it with `docker inspect` or `podman inspect`, and remove it by hand.",
            )
        try:
            engine.remove(container_id)
        except ContainerError as error:
            if error.cause != ENGINE_FAILED:
                raise
            refusal = str(error)
            time.sleep(_ROUND)
