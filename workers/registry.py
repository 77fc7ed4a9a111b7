"""Which runner a run gets: made from the configuration, kept for the life of the process."""

import threading

from dispatch.errors import ConfigurationError, NotFoundError
from dispatch.models.bead import Bead
from dispatch.routing import choose_runner
from dispatch.settings import Isolation, RunnerKind, RunnerSettings, Settings
from dispatch.wiring import worktrees_directory
from dispatch.workspaces import ContainerOrchestrator
from workers.runners import CommandRunner, Containment, PythonRunner, Runner
from workers.runners.pricing import PricedRunner
from workers.runners.programs import PROGRAMS, ProgramRunner


class RunnerRegistry:
    """Makes each configured runner once: some keep a warm process between runs. Any thread may ask."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Runner] = {}
        self._lock = threading.Lock()

    def choose(self, role: str, bead: Bead, named: str | None = None) -> tuple[str, Runner]:
        """Return the role's runner for a bead: the harder the work the stronger, and the next one after each failure.

        `named` overrides that. Raises `ConfigurationError` when the role has none, `NotFoundError` for an unknown name.
        """
        if named is not None:
            return named, self._get(named)
        choice = choose_runner(self._settings.role(role).runners, bead)
        if choice is None:
            place = str(self._settings.config_file or "dispatch.toml")
            raise ConfigurationError(
                place=place,
                problem=f"the role {role} has no runner",
                cure=f'Name one: [roles.{role}] runners = ["mine"], and [runners.mine] with its kind.',
            )
        return choice.name, self._get(choice.name)

    def _get(self, name: str) -> Runner:
        with self._lock:
            if name not in self._made:
                configured = self._settings.runners.get(name)
                if configured is None:
                    known = ", ".join(sorted(self._settings.runners)) or "none"
                    raise NotFoundError(thing="runner", name=name, cure=f"Configured are: {known}.")
                self._made[name] = self._make(configured)
            return self._made[name]

    def _make(self, configured: RunnerSettings) -> Runner:
        """Make a runner whose git never looks above the worktrees: a home inside a repository has the user's there."""
        env = {"GIT_CEILING_DIRECTORIES": str(worktrees_directory(self._settings))}
        if configured.kind is RunnerKind.PYTHON:
            return PythonRunner(
                configured.target, env=env, pass_env=configured.env, runs_per_process=configured.runs_per_process
            )
        config_file = self._settings.config_file
        base = config_file.parent if config_file is not None else self._settings.home.parent
        containment = None
        if configured.isolation is Isolation.CONTAINER:
            containment = Containment(ContainerOrchestrator(self._settings))
        command = CommandRunner(
            configured.command_line,
            env=env,
            pass_env=configured.env,
            base_directory=base,
            silence_limit=configured.silence_seconds,
            containment=containment,
        )
        preset = configured.preset
        runner = ProgramRunner(PROGRAMS[preset], command) if preset is not None else command
        prices = configured.usd_per_mtok
        return PricedRunner(runner, prices) if prices is not None else runner

    def end_idle_processes(self) -> None:
        """End what runners keep for later runs.

        A run that was taken from this worker keeps its process noted: whoever goes on with its bead here ends that
        process, which must then do no other run.
        """
        with self._lock:
            for runner in self._made.values():
                if isinstance(runner, PythonRunner):
                    runner.close()
