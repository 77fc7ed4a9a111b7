"""One run, from the message to the outcome: start, worktree, agent, commit, report. The same on every bus."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from dispatch.errors import DispatchError
from dispatch.models.identity import IncarnationId, RunId
from dispatch.models.messages import AgentEvent, ResultMessage, TaskMessage
from dispatch.models.outcome import Completed, Failed, Outcome, TimedOut
from dispatch.models.run import Run
from dispatch.store import StartedRun, is_unavailable
from dispatch.wiring import System
from workers.assignment import make_assignment
from workers.heartbeat import RunHeartbeat
from workers.recording import ActionRecorder
from workers.registry import RunnerRegistry
from workers.runners import ProcessIdentity, RunControl, RunnerContext, end_process_group

_REPORT_WAITS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries to write an outcome; the last one repeats until PostgreSQL is back."""

log = structlog.get_logger(__name__)


class StartRefusedError(DispatchError):
    """The run {run_id} may not start here: {reason}."""

    exit_code = 4


class RunExecutor:
    """Executes runs on behalf of one worker incarnation."""

    def __init__(
        self,
        system: System,
        registry: RunnerRegistry,
        *,
        incarnation_id: Callable[[], IncarnationId],
        stopping: Callable[[], bool],
        runner: str | None = None,
        watch: Callable[[AgentEvent], None] | None = None,
    ) -> None:
        self._system = system
        self._registry = registry
        self._incarnation_id = incarnation_id
        self._stopping = stopping
        self._runner = runner
        self._watch = watch

    def execute(self, message: TaskMessage) -> RunId:
        """Do a run to its end; when this returns its outcome is written. Raises `StartRefusedError`."""
        run_id = RunId(message.run_id)
        started = self._system.store.running.start(run_id, self._incarnation_id())
        if isinstance(started, str):
            log.info("a run was not started", run_id=str(run_id), reason=started)
            raise StartRefusedError(run_id=run_id, reason=started)
        work = _Work(self._system, started)
        with work.heartbeat(self._stopping):
            outcome = self._outcome(work)
            commit_sha = work.commit(outcome)
            outcome = work.checked(outcome, commit_sha)
            work.report(outcome, commit_sha)
        work.clean_up()
        return run_id

    def _outcome(self, work: "_Work") -> Outcome:
        """Run the agent; whatever goes wrong around it is an outcome too."""
        try:
            work.prepare()
            run = work.started.run
            _, runner = self._registry.choose(run.role, work.started.bead.failures, self._runner)
            return runner.run(work.context(self._watch))
        except SoftTimeLimitExceeded:
            work.control.abandon()
            return TimedOut(limit_seconds=work.started.run.timeout.total_seconds(), summary="Celery's limit ended it.")
        except DispatchError as error:
            return Failed(cause=type(error).__name__, summary=str(error))
        except OSError as error:
            return Failed(cause=type(error).__name__, summary=str(error))


class _Work:
    """The state of one execution."""

    def __init__(self, system: System, started: StartedRun) -> None:
        self.started = started
        self.control = RunControl()
        self._system = system
        self._run: Run = started.run
        self._workspace: Path | None = None
        self._base_sha: str | None = None
        running = system.store.running
        self._recorder = ActionRecorder(
            lambda actions: running.record_actions(started.run.id, actions), started.run.agent_id
        )

    def heartbeat(self, stopping: Callable[[], bool]) -> "_Beating":
        return _Beating(
            RunHeartbeat(
                self._system.store.running,
                self._run.id,
                self.started.token,
                self.control,
                interval=self._system.settings.dispatch.heartbeat.total_seconds(),
                stopping=stopping,
                each_beat=self._recorder.flush,
            )
        )

    def prepare(self) -> None:
        """Make the worktree, after ending and keeping what a dead attempt left on this host (PROTOCOL, rule 9)."""
        base = self._keep_leftovers() or self._run.base_sha
        self._run = replace(self._run, base_sha=base)
        worktree = self._system.worktrees.create(self._run)
        self._workspace, self._base_sha = worktree.path, worktree.base_sha
        self._run = replace(self._run, base_sha=worktree.base_sha)
        self._system.store.running.note_base(self._run.id, self.started.token, worktree.base_sha)

    def _keep_leftovers(self) -> str | None:
        previous = self.started.previous
        if previous is None or previous.host != socket.gethostname():
            return None
        identity = _identity(previous)
        if identity is not None and end_process_group(identity):
            log.warning("ended an agent that a dead worker left", run_id=str(previous.id))
        return self._system.worktrees.salvage(previous.id, previous.project_id)

    def context(self, watch: Callable[[AgentEvent], None] | None) -> RunnerContext:
        assert self._workspace is not None, "prepare() made it"
        run_directory = self._system.runs_directory / str(self._run.id)
        run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return RunnerContext(
            assignment=make_assignment(self.started, self._workspace, self._system.settings),
            run_directory=run_directory,
            control=self.control,
            on_event=lambda event: self._take(event, watch),
            on_process=self._note_process,
        )

    def _take(self, event: AgentEvent, watch: Callable[[AgentEvent], None] | None) -> None:
        if watch is not None:
            watch(event)
        if self._recorder.add(event):
            self._try_flush()

    def _try_flush(self) -> None:
        try:
            self._recorder.flush()
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("actions wait for the database", run_id=str(self._run.id), cause=repr(error))

    def _note_process(self, process: ProcessIdentity) -> None:
        self._system.store.running.note_process(
            self._run.id,
            self.started.token,
            host=process.host,
            boot_id=process.boot_id,
            process_group=process.process_group,
            started=process.started,
        )

    def commit(self, outcome: Outcome) -> str | None:
        """Commit whatever the worktree holds, whatever the outcome; None when there is no worktree."""
        if self._workspace is None:
            return None
        bead = self.started.bead
        message = f"{bead.title}\n\nBead: {bead.key}\nRun: {self._run.id} (attempt {self._run.attempt}, {outcome.kind})"
        return self._system.worktrees.commit_all(self._run, message)

    def checked(self, outcome: Outcome, commit_sha: str | None) -> Outcome:
        """Doubt a success that changed nothing and does not say that nothing was to be done."""
        unchanged = commit_sha == self._base_sha and self.started.run.base_sha is None
        if isinstance(outcome, Completed) and unchanged and not outcome.nothing_to_do and self._run.writes_branch:
            return Failed(
                cause="no_change", summary="It ended well but changed no file, and did not say that this is right."
            )
        return outcome

    def report(self, outcome: Outcome, commit_sha: str | None) -> None:
        """Write the outcome, again and again while PostgreSQL is away: the agent is done (PROTOCOL, rule 1)."""
        self._try_flush()
        message = ResultMessage(run_id=self._run.id, token=self.started.token, outcome=outcome, commit_sha=commit_sha)
        tries = 0
        while True:
            try:
                taken = self._system.store.running.report(message)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                log.warning("the outcome waits for the database", run_id=str(self._run.id), cause=repr(error))
                time.sleep(_REPORT_WAITS[min(tries, len(_REPORT_WAITS) - 1)])
                tries += 1
                continue
            if not taken:
                log.warning("a late outcome was refused", run_id=str(self._run.id), outcome=outcome.kind)
            return

    def clean_up(self) -> None:
        """Remove the worktree; what cannot be removed now is collected by housekeeping."""
        with suppress(DispatchError, OSError):
            self._system.worktrees.remove(self._run)


class _Beating:
    """Keeps the heartbeat going for a block."""

    def __init__(self, heartbeat: RunHeartbeat) -> None:
        self._heartbeat = heartbeat

    def __enter__(self) -> None:
        self._heartbeat.start()

    def __exit__(self, *_: object) -> None:
        self._heartbeat.end()


def _identity(run: Run) -> ProcessIdentity | None:
    if run.host is None or run.boot_id is None or run.process_group is None or run.process_started is None:
        return None
    return ProcessIdentity(
        host=run.host, boot_id=run.boot_id, process_group=run.process_group, started=run.process_started
    )
