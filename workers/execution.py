"""One run, from the message to the outcome: start, worktree, agent, commit, report. The same on every bus."""

from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dispatch.errors import ContainerError, DispatchError
from dispatch.models.identity import IncarnationId, RunId
from dispatch.models.messages import AgentEvent, TaskMessage
from dispatch.models.outcome import Failed, Lost, Outcome, TimedOut
from dispatch.store import StartedRun
from dispatch.wiring import System
from workers.attempt import Attempt
from workers.disk import disk_trouble
from workers.modelling import provider_for
from workers.persistence import is_passing
from workers.registry import RunnerRegistry
from workers.runners import Runner
from workers.soft_limit import SoftLimit, soft_limit

log = structlog.get_logger(__name__)


class StartRefusedError(DispatchError):
    """The run {run_id} may not start here: {reason}."""

    exit_code = 4


class RunExecutor:
    """Executes runs on behalf of one worker incarnation.

    `stopping` and `calls` are its `Identity`'s; where nobody listens for calls there are none.
    """

    def __init__(
        self,
        system: System,
        registry: RunnerRegistry,
        *,
        incarnation_id: Callable[[], IncarnationId],
        stopping: Callable[[], bool],
        calls: Callable[[], int] = lambda: 0,
        runner: str | None = None,
        watch: Callable[[AgentEvent], None] | None = None,
    ) -> None:
        self._system = system
        self._registry = registry
        self._incarnation_id = incarnation_id
        self._stopping = stopping
        self._calls = calls
        self._runner = runner
        self._watch = watch

    def execute(self, message: TaskMessage) -> RunId:
        """Do a run to its end; when this returns its outcome is written. Raises `StartRefusedError`."""
        run_id = RunId(message.run_id)
        was_called = self._listen()
        attempt = Attempt(self._system, self._start(run_id))
        with soft_limit() as limit:
            with attempt.heartbeat(self._stopping, was_called):
                taken = attempt.finish(self._outcome(attempt, limit))
            if not taken:
                self._registry.end_idle_processes()
            attempt.clean_up()
        return run_id

    def _listen(self) -> Callable[[], bool]:
        """Return what tells whether the worker was called since it was asked last, or since now: before the run starts,
        so that no call for it comes too early to be heard.
        """
        heard = self._calls()

        def was_called() -> bool:
            nonlocal heard
            before, heard = heard, self._calls()
            return heard != before

        return was_called

    def _start(self, run_id: RunId) -> StartedRun:
        """Start the run. A database that is away refuses too: the run is as it was, and is handed over again.

        So does a disk that is nearly full: another worker may take it then.
        """
        trouble = disk_trouble(self._system.settings)
        if trouble:
            log.warning("a run could not be started", run_id=str(run_id), cause=trouble)
            raise StartRefusedError(run_id=run_id, reason=trouble)
        try:
            started = self._system.store.running.start(run_id, self._incarnation_id())
        except SQLAlchemyError as error:
            log.warning("a run could not be started", run_id=str(run_id), cause=repr(error))
            raise StartRefusedError(run_id=run_id, reason=f"the database failed ({type(error).__name__})") from error
        if isinstance(started, str):
            log.info("a run was not started", run_id=str(run_id), reason=started)
            raise StartRefusedError(run_id=run_id, reason=started)
        return started

    def _outcome(self, attempt: Attempt, limit: SoftLimit) -> Outcome:
        """Run the agent; whatever goes wrong around it is an outcome too. After it the soft limit is lifted."""
        try:
            try:
                return self._run_agent(attempt, limit)
            finally:
                limit.lift()
        except Exception as error:  # noqa: BLE001 - it becomes the outcome
            limit.lift()
            if limit.reached:
                seconds = attempt.started.run.timeout.total_seconds()
                return TimedOut(limit_seconds=seconds, summary="Celery's limit ended it.")
            return _outcome_of_error(error, attempt.started.run.id)

    def _run_agent(self, attempt: Attempt, limit: SoftLimit) -> Outcome:
        name, runner = self._choose(attempt.started)
        attempt.prepare(self._system.settings.runners[name].workspace)
        return runner.run(attempt.context(self._watch, limit, name))

    def _choose(self, started: StartedRun) -> tuple[str, Runner]:
        """Return the runner. Where it uses another provider than the run was claimed with, or none, that is kept."""
        run, bead, settings = started.run, started.bead, self._system.settings
        name = self._runner or self._registry.runner_name(run.role, bead, run.provider)
        provider = ""
        if settings.is_llm(name):
            provider = run.provider or provider_for(self._system.store, settings, run.role, bead)
        if provider != run.provider:
            self._system.store.running.note_provider(run.id, started.token, provider)
        return self._registry.choose(run.role, bead, name, provider)


def _outcome_of_error(error: Exception, run_id: RunId) -> Outcome:
    """Say what an error around the agent means: a database that was away is nobody's failure."""
    if isinstance(error, ContainerError):
        return Failed(cause=error.cause, summary=str(error))
    if isinstance(error, DispatchError | OSError):
        return Failed(cause=type(error).__name__, summary=str(error))
    if is_passing(error):
        log.warning("the database was away", run_id=str(run_id), cause=repr(error))
        return Lost(summary="Its worker could not reach the database.")
    log.error("a run broke", run_id=str(run_id), exc_info=error)
    return Failed(cause=type(error).__name__, summary=f"dispatch or its runner broke: {error}")
