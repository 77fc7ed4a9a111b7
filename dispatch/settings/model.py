"""What can be configured: one frozen model, with the questions the other rooms ask of it."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dispatch.settings.containers import ContainerSettings
from dispatch.settings.durations import DEFAULT_TASK_TIMEOUT
from dispatch.settings.fields import (
    Arguments,
    BrokerUrl,
    DatabaseUrl,
    Dollars,
    EvidencePattern,
    FunctionName,
    KeyPrefix,
    OptionalDuration,
    Patience,
    PositiveDuration,
    ResultUrl,
    Section,
    Waits,
    normal_name,
)
from dispatch.settings.housekeeping import HousekeepingSettings
from dispatch.settings.lessons import LessonSettings
from dispatch.settings.projects import ProjectCapSettings, ProjectSettings
from dispatch.settings.providers import ProviderSettings
from dispatch.settings.runners import RunnerKind, RunnerSettings
from dispatch.settings.sessions import SessionSettings
from dispatch.settings.toml_lines import KeyPath
from dispatch.settings.workflows import WorkflowSettings


class DispatchMode(StrEnum):
    QUEUE = "queue"
    LOCAL = "local"
    AUTO = "auto"


class Pool(StrEnum):
    PREFORK = "prefork"
    THREADS = "threads"


class Fallback(StrEnum):
    """Who does a bead that asks for a role which nobody serves: after a while any agent, or nobody."""

    ANY = "any"
    WAIT = "wait"


class ReadinessMode(StrEnum):
    """What a failing readiness check does: parks its project, or is only shown."""

    BLOCK = "block"
    WARN = "warn"


class DispatchSettings(Section):
    """Times of the protocol. `max_running` caps the runs at once in the whole system; 0: as many as there are agents.

    `grace` is how long an agent that was asked to stop may take to end before it is killed, `hard_grace` how long after
    the task timeout Celery ends the pool process by force; `republish_after` how long a run that was handed over may
    stay without a start before its message is taken for lost, doubled each time. With `dispatch_after_settle` the
    settlers and landers themselves dispatch what they made possible; without it only tickers dispatch.

    A bead that asks for a role which nobody serves goes to any agent after `role_wait`, unless `fallback` is to wait;
    0 means at once, "never" never.
    """

    dispatch_mode: DispatchMode = DispatchMode.QUEUE
    tick_interval: PositiveDuration = timedelta(seconds=5)
    task_timeout: PositiveDuration = DEFAULT_TASK_TIMEOUT
    grace: PositiveDuration = timedelta(seconds=5)
    hard_grace: PositiveDuration = timedelta(seconds=60)
    heartbeat: PositiveDuration = timedelta(seconds=10)
    lease: PositiveDuration = timedelta(seconds=45)
    republish_after: PositiveDuration = timedelta(seconds=60)
    max_running: int = Field(default=0, ge=0)
    dispatch_after_settle: bool = True
    fallback: Fallback = Fallback.ANY
    role_wait: Patience = timedelta(minutes=10)

    @property
    def patience(self) -> timedelta | None:
        """How long a bead waits for a role that nobody serves; None: for ever."""
        if self.fallback is Fallback.WAIT or not isinstance(self.role_wait, timedelta):
            return None
        return self.role_wait


class GuardSettings(Section):
    """When a failing bead waits (`cooldown`: first and longest wait), and when it goes to a human (`max_failures`).

    A project that is not ready is parked or only shown (`readiness_mode`); `readiness_check` names a function that is
    asked besides the built-in checks. After `breaker_failures` runs in a row that failed for the same cause a project
    is parked, and one bead at a time is tried.

    A bead goes to a human from `max_dispatch_hops` runs on when it makes no progress, and after five times as many in
    any case. An agent that repeats an action, or a round of some, `repeat_threshold` times with the same results is
    stopped when it made no progress for `progress_window` or over its last twelve actions.

    A provider of models is left alone after `provider_failures` runs in a row that failed by its fault, for the first
    of `provider_cooldown`, and twice as long after each trial that fails, up to the second.
    """

    readiness_mode: ReadinessMode = ReadinessMode.WARN
    readiness_check: FunctionName = ""
    max_dispatch_hops: int = Field(default=20, ge=1)
    max_failures: int = Field(default=5, ge=1)
    cooldown: Waits = (timedelta(seconds=10), timedelta(minutes=5))
    breaker_failures: int = Field(default=5, ge=1)
    repeat_threshold: int = Field(default=3, ge=2)
    progress_window: PositiveDuration = timedelta(minutes=5)
    provider_failures: int = Field(default=3, ge=1)
    provider_cooldown: Waits = (timedelta(seconds=30), timedelta(minutes=10))

    @property
    def first_cooldown(self) -> timedelta:
        return self.cooldown[0]

    @property
    def longest_cooldown(self) -> timedelta:
        return self.cooldown[1]


class CapSettings(ProjectCapSettings):
    """Caps of every bead and project, and of the whole system in a day of UTC: dollars, and tokens read and written.

    0: none.
    """

    system_usd_day: Dollars = Decimal(0)
    system_tokens_day: int = Field(default=0, ge=0)


class WorkerSettings(Section):
    """One agent worker that `dispatch up` starts: `concurrency` agents, each able to serve all `roles`."""

    roles: Arguments
    concurrency: int = Field(default=2, ge=1)
    pool: Pool = Pool.PREFORK


class RoleSettings(Section):
    """A job. `runners` are ordered weakest first; `slots` caps its runs at once in the fleet, 0: no cap.

    `providers`, weakest first, are those that its `llm` runners may use; without it all that are configured.
    """

    runners: Arguments = ()
    providers: Arguments = ()
    slots: int = Field(default=0, ge=0)
    aliases: Arguments = ()
    instructions: Path | None = None
    task_timeout: OptionalDuration = None


class BugEvidenceSettings(Section):
    """A sign that an auto-filed bug is the work of `role`; added to the built-in ones.

    `pattern` is a regular expression, searched in the title, the description and a line `label:name` for each label. It
    ignores case, `^` and `$` are the ends of a line, and `.` is any character. A bug goes to a role from a weight of 5
    on; the built-in signs weigh between 2 and 10.
    """

    pattern: EvidencePattern
    role: str = Field(min_length=1)
    weight: int = Field(default=5, ge=1)


class Settings(BaseSettings):
    """The whole configuration. Made by `load_settings`; called directly it takes only the values that it is given.

    `home` holds the embedded servers, logs and worktrees. An empty `database_url` or `broker_url` means the embedded
    server, an empty `result_backend_url` the broker. `key_prefix` parts deployments that share one Redis; on RabbitMQ
    a virtual host for each does.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", case_sensitive=True, hide_input_in_errors=True)

    home: Path
    database_url: DatabaseUrl = ""
    broker_url: BrokerUrl = ""
    result_backend_url: ResultUrl = ""
    key_prefix: KeyPrefix = "dispatch"
    dispatch: DispatchSettings = DispatchSettings()
    guards: GuardSettings = GuardSettings()
    caps: CapSettings = CapSettings()
    sessions: SessionSettings = SessionSettings()
    lessons: LessonSettings = LessonSettings()
    housekeeping: HousekeepingSettings = HousekeepingSettings()
    workflows: WorkflowSettings = WorkflowSettings()
    containers: ContainerSettings = ContainerSettings()
    workers: Mapping[str, WorkerSettings] = Field(default_factory=dict)
    providers: Mapping[str, ProviderSettings] = Field(default_factory=dict)
    runners: Mapping[str, RunnerSettings] = Field(default_factory=dict)
    roles: Mapping[str, RoleSettings] = Field(default_factory=dict)
    projects: Mapping[str, ProjectSettings] = Field(default_factory=dict)
    bug_evidence: tuple[BugEvidenceSettings, ...] = ()

    _config_file: Path | None = PrivateAttr(default=None)
    _origins: Mapping[KeyPath, str] = PrivateAttr(default_factory=dict)
    _aliases: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing behind the caller's back: file and environment come from `load_settings` alone."""
        return (init_settings,)

    def model_post_init(self, context: Any, /) -> None:
        self._aliases = {normal_name(alias): name for name, role in self.roles.items() for alias in role.aliases}

    def read_from(self, config_file: Path | None, origins: Mapping[KeyPath, str]) -> Self:
        """Return the same settings with the knowledge of where they were read."""
        known = self.model_copy()
        known._config_file, known._origins = config_file, dict(origins)
        return known

    @property
    def config_file(self) -> Path | None:
        """The dispatch.toml that was read; None when there is none and the defaults hold."""
        return self._config_file

    @property
    def origins(self) -> Mapping[KeyPath, str]:
        """Where each value that is not a default came from: `dispatch.toml:12`, `environment DISPATCH_X`, `flag`."""
        return self._origins

    @property
    def is_embedded_database(self) -> bool:
        return not self.database_url

    @property
    def is_embedded_broker(self) -> bool:
        return not self.broker_url

    @property
    def effective_result_backend(self) -> str:
        """The address of the result backend; empty when that is the embedded broker."""
        return self.result_backend_url or self.broker_url

    def project(self, project_id: str) -> ProjectSettings:
        """Return what is configured for a project, or the defaults when it is not listed."""
        return self.projects.get(project_id) or ProjectSettings()

    def project_caps(self, project_id: str) -> CapSettings:
        """Return the caps that hold for a project: its own where it has any, else those of all projects."""
        own = self.project(project_id).caps
        return self.caps.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})

    def test_timeout(self, project_id: str) -> timedelta:
        """Return how long the tests of a landing may take: as long as a run of the project unless set apart."""
        return self.project(project_id).test_timeout or self.task_timeout(project_id, "")

    def role(self, name: str) -> RoleSettings:
        """Return what is configured for a role or alias, or the defaults when it is not listed."""
        return self.roles.get(self.resolve_role(name)) or RoleSettings()

    def resolve_role(self, name: str) -> str:
        """Return the role that a name or alias, in any case and spelling of spaces, means. It may be unknown."""
        normal = normal_name(name)
        return self._aliases.get(normal, normal)

    def role_providers(self, name: str) -> tuple[str, ...]:
        """Return the providers that a role's `llm` runners may use, the weakest first."""
        return self.role(name).providers or tuple(self.providers)

    def is_llm(self, runner: str) -> bool:
        """Tell whether a runner of that name is an `llm`, which needs a provider."""
        return runner in self.runners and self.runners[runner].kind is RunnerKind.LLM

    def task_timeout(self, project_id: str, role: str, bead_timeout: timedelta | None = None) -> timedelta:
        """Return the limit of a run: the bead's, else the role's, else the project's, else the setting.

        Source: SPEC, "Runs, results, time".
        """
        return (
            bead_timeout
            or self.role(role).task_timeout
            or self.project(project_id).task_timeout
            or self.dispatch.task_timeout
        )
