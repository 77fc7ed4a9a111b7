"""Which runner a run gets: made from the configuration, kept for the life of the process."""

import threading
from collections.abc import Mapping

from dispatch.errors import ConfigurationError, NotFoundError
from dispatch.models.bead import Bead
from dispatch.routing.means import choose_means
from dispatch.settings import Isolation, RunnerKind, RunnerSettings, Settings
from dispatch.wiring import worktrees_directory
from dispatch.workspaces import ContainerOrchestrator
from workers.runners import CommandRunner, Containment, LlmRunner, PythonRunner, Runner
from workers.runners.pricing import PricedRunner
from workers.runners.programs import PROGRAMS, ProgramRunner


class RunnerRegistry:
    """Makes each configured runner once: some keep a warm process between runs. Any thread may ask."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[tuple[str, str], Runner] = {}
        self._lock = threading.Lock()

    def choose(self, role: str, bead: Bead, named: str | None = None, provider: str = "") -> tuple[str, Runner]:
        """Return the role's runner for a bead: the harder the work the stronger, and the next one after each failure.

        `named` overrides that. `provider` is the one of models that an `llm` works on; without it that is the role's
        weakest. Raises `ConfigurationError` when the role has none, `NotFoundError` for an unknown name.
        """
        name = named or self.runner_name(role, bead, provider)
        if self._settings.is_llm(name) and not provider:
            provider = next(iter(self._settings.role_providers(role)), "")
        return name, self._get(name, provider if self._settings.is_llm(name) else "")

    def runner_name(self, role: str, bead: Bead, provider: str = "") -> str:
        """Return which of the role's runners a run gets that was claimed with a provider, or without one.

        Without one that is an `llm` only where the role has nothing else. Raises `ConfigurationError` when it has none.
        """
        means = choose_means(role, bead, self._settings, [provider] if provider else []) or choose_means(
            role, bead, self._settings, self._settings.role_providers(role)
        )
        if means is None:
            place = str(self._settings.config_file or "dispatch.toml")
            raise ConfigurationError(
                place=place,
                problem=f"the role {role} has no runner",
                cure=f'Name one: [roles.{role}] runners = ["mine"], and [runners.mine] with its kind.',
            )
        return means.runner.name

    def _get(self, name: str, provider: str) -> Runner:
        with self._lock:
            if (name, provider) not in self._made:
                configured = self._settings.runners.get(name)
                if configured is None:
                    known = ", ".join(sorted(self._settings.runners)) or "none"
                    raise NotFoundError(thing="runner", name=name, cure=f"Configured are: {known}.")
                self._made[name, provider] = self._make(name, configured, provider)
            return self._made[name, provider]

    def _make(self, name: str, configured: RunnerSettings, provider: str) -> Runner:
        """Make a runner whose git never looks above the worktrees: a home inside a repository has the user's there."""
        env = {"GIT_CEILING_DIRECTORIES": str(worktrees_directory(self._settings))}
        if configured.kind is RunnerKind.PYTHON:
            return PythonRunner(
                configured.target, env=env, pass_env=configured.env, runs_per_process=configured.runs_per_process
            )
        if configured.kind is RunnerKind.LLM:
            return self._make_llm(name, configured, provider, env)
        config_file = self._settings.config_file
        base = config_file.parent if config_file is not None else self._settings.home.parent
        command = CommandRunner(
            configured.command_line,
            env=env,
            pass_env=configured.env,
            base_directory=base,
            silence_limit=configured.silence_seconds,
            containment=self._containment(configured),
        )
        preset = configured.preset
        runner = ProgramRunner(PROGRAMS[preset], command) if preset is not None else command
        prices = configured.usd_per_mtok
        return PricedRunner(runner, prices) if prices is not None else runner

    def _make_llm(self, name: str, configured: RunnerSettings, provider: str, env: Mapping[str, str]) -> Runner:
        endpoint = self._settings.providers.get(provider)
        if endpoint is None:
            known = ", ".join(self._settings.providers) or "none"
            raise ConfigurationError(
                place=f"the llm runner {name}",
                problem=f"there is no provider {provider!r}" if provider else "no provider of models is configured",
                cure=f"Configured are: {known}. Add [providers.main] with kind and model.",
            )
        containment = self._containment(configured)
        return LlmRunner(provider, endpoint, configured, env=env, pass_env=configured.env, containment=containment)

    def _containment(self, configured: RunnerSettings) -> Containment | None:
        isolated = configured.isolation is Isolation.CONTAINER
        return Containment(ContainerOrchestrator(self._settings)) if isolated else None

    def end_idle_processes(self) -> None:
        """End what runners keep for later runs.

        A run that was taken from this worker keeps its process noted: whoever goes on with its bead here ends that
        process, which must then do no other run.
        """
        with self._lock:
            for runner in self._made.values():
                if isinstance(runner, PythonRunner):
                    runner.close()
