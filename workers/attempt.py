"""One attempt at a bead, step by step: the worktree, what the agent is told and says, the commit, the report."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog

from dispatch.errors import DispatchError
from dispatch.loops import LoopRule
from dispatch.models.messages import AgentEvent, ResultMessage
from dispatch.models.outcome import Completed, Failed, Outcome
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.run import Run
from dispatch.settings import Workspace
from dispatch.store import StartedRun
from dispatch.wiring import System
from dispatch.workspaces import commits_of_work, find_repository
from workers.assignment import make_assignment
from workers.conversing import Conversation
from workers.follow_ups import FollowUpTaker
from workers.heartbeat import RunHeartbeat
from workers.lessons import LessonTaker, tell_lessons
from workers.loop_watch import LoopWatch, SteadyClock
from workers.persistence import is_passing, write_patiently
from workers.process_file import with_process, write_process
from workers.recording import ActionRecorder
from workers.runners import ProcessIdentity, RunControl, RunnerContext, end_process_group, was_contained
from workers.runners.base import PULSE_LIMIT
from workers.sharing import share
from workers.soft_limit import SoftLimit
from workers.spending import SpendingMeter

log = structlog.get_logger(__name__)


class Attempt:
    """A run that was started here, and what it has come to."""

    def __init__(self, system: System, started: StartedRun) -> None:
        self.started = started
        self.control = RunControl()
        self._system = system
        self._run: Run = started.run
        self._workspace: Path | None = None
        self._run_directory = system.runs_directory / str(started.run.id)
        self._kind = Workspace.WORKTREE
        self._left: str | None = None
        self._base_sha: str | None = None
        self._commits = NO_COMMITS
        self._process: ProcessIdentity | None = None
        self._unnoted: ProcessIdentity | None = None
        self._failed_to_note = False
        self._now = SteadyClock()
        running, guards = system.store.running, system.settings.guards
        self._recorder = ActionRecorder(
            lambda actions: running.record_actions(started.run.id, actions), started.run.agent_id, self._now
        )
        rule = LoopRule(guards.repeat_threshold, guards.progress_window)
        self._loops = LoopWatch(started.run.id, started.past_actions, rule, self.control)
        self._meter = SpendingMeter(
            system.store.guarding.charge,
            started.run.id,
            started.bead,
            system.settings.project_caps(started.run.project_id),
            self.control,
        )
        self._lessons = LessonTaker(system.lessons, started)
        self._follow_ups = FollowUpTaker(system.store, system.settings, started)
        lifetime = system.settings.sessions.lifetime
        self._conversation = Conversation(
            lambda session: system.store.sessions.save(started.run.id, started.token, session, lifetime),
            started.session,
            started.run.role,
        )

    @contextmanager
    def heartbeat(self, stopping: Callable[[], bool], was_called: Callable[[], bool]) -> Iterator[None]:
        """Renew the lease while the block runs; see `RunHeartbeat`."""
        heartbeat = RunHeartbeat(
            self._system.store.running,
            self._run.id,
            self.started.token,
            self.control,
            interval=self._system.settings.dispatch.heartbeat.total_seconds(),
            stopping=stopping,
            was_called=was_called,
            each_look=self._look,
            each_beat=self._catch_up,
        )
        heartbeat.start()
        try:
            yield
        finally:
            heartbeat.end()

    def _look(self) -> None:
        """Write of a run that lasts where its agent runs. While the database is away that is left to the beats."""
        if not self._failed_to_note:
            self._note_unnoted()

    def _catch_up(self) -> None:
        """Write what waits to be written."""
        self._note_unnoted()
        self._recorder.flush()
        self._meter.flush()
        self._conversation.flush()

    def prepare(self, kind: Workspace = Workspace.WORKTREE) -> None:
        """Make the workspace, after ending and keeping what a dead attempt left on this host (PROTOCOL, rule 9).

        What was left counts as work of this run: the base that it is compared with is the one before it.
        """
        previous, self._kind = self._previous(), kind
        self._left = self._keep_leftovers(previous)
        base = self._run.base_sha or (previous.base_sha if self._left is not None and previous is not None else None)
        self._run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kind is Workspace.EMPTY:
            self._workspace, self._base_sha = self._system.scratch.make(self._run.id), base
            return
        needs = [other.head_sha for other in self.started.dependencies if other.head_sha is not None]
        run = replace(self._run, base_sha=self._left or self._run.base_sha)
        worktree = self._system.worktrees.create(run, needs)
        self._workspace, self._base_sha = worktree.path, base or worktree.base_sha

    def _previous(self) -> Run | None:
        previous = self.started.previous
        return previous and with_process(previous, self._system.runs_directory / str(previous.id))

    def _keep_leftovers(self, previous: Run | None) -> str | None:
        """Return the commit that holds what the last attempt left here, when that is to be gone on from."""
        if previous is None or previous.host != socket.gethostname():
            return None
        identity = _identity(previous)
        if identity is not None and end_process_group(identity):
            log.warning("ended an agent that a dead worker left", run_id=str(previous.id))
        contained = was_contained(self._system.runs_directory / str(previous.id))
        if contained and self._system.containers.end_run(previous.id):
            log.warning("removed a container that a dead worker left", run_id=str(previous.id))
        left = self._system.worktrees.salvage(previous.id, previous.project_id)
        return left if previous.writes_branch and self._run.writes_branch else None

    def context(self, watch: Callable[[AgentEvent], None] | None, limit: SoftLimit, runner: str = "") -> RunnerContext:
        """Return what the runner of that name is given.

        `watch` sees every event of the agent; `limit` holds between them.
        """
        assert self._workspace is not None, "prepare() made it"
        self.started = tell_lessons(self._system.lessons, self.started)
        self._loops.begin(self._now())
        session = self._conversation.begin(runner)
        return RunnerContext(
            assignment=make_assignment(self.started, self._workspace, self._system.settings, session),
            run_directory=self._run_directory,
            control=self.control,
            on_event=lambda event: self._take(event, watch, limit),
            on_process=self._note_process,
            stop_grace=self._system.settings.dispatch.grace.total_seconds(),
            pulse_limit=_pulse_limit(self._system.settings.dispatch.lease.total_seconds()),
        )

    def _take(self, event: AgentEvent, watch: Callable[[AgentEvent], None] | None, limit: SoftLimit) -> None:
        if watch is not None:
            watch(event)
        self._meter.add(event)
        self._conversation.add(event)
        self._lessons.add(event)
        self._follow_ups.add(event)
        action = self._recorder.add(event)
        if action is not None:
            self._loops.take(action)
            if self._recorder.is_due:
                self._recorder.flush()
        limit.check()

    def _note_process(self, process: ProcessIdentity) -> None:
        """Keep where the agent runs: in a file now, in the database when the run lasts, or with its report."""
        self._process = self._unnoted = process
        try:
            write_process(self._run_directory, process, self._base_sha)
        except OSError as error:
            log.warning("where the agent runs cannot be kept in a file", run_id=str(self._run.id), cause=repr(error))
            self._note_unnoted()

    def _note_unnoted(self) -> None:
        """Write to the database where the agent runs; while that is away the heartbeat's beats see to it."""
        process = self._unnoted
        if process is None:
            return
        try:
            self._system.store.running.note_process(
                self._run.id,
                self.started.token,
                base_sha=self._base_sha,
                host=process.host,
                boot_id=process.boot_id,
                process_group=process.process_group,
                started=process.started,
            )
        except Exception as error:
            self._failed_to_note = True
            if not is_passing(error):
                raise
            log.warning("where the agent runs is noted later", run_id=str(self._run.id), cause=repr(error))
        else:
            self._unnoted = None

    def finish(self, outcome: Outcome) -> bool:
        """Commit what the worktree holds, whatever the outcome, and write the outcome; False when that is refused.

        Where the repository is, is in the database too.
        """
        outcome = self._loops.explain(outcome)
        self._lessons.flush()
        self._follow_ups.flush()
        try:
            commit_sha = write_patiently(lambda: self._commit(outcome), f"the work of run {self._run.id}")
        except Exception as error:
            log.exception("the work could not be committed", run_id=str(self._run.id))
            commit_sha = None
            if isinstance(outcome, Completed):
                outcome = Failed(cause="commit failed", summary=str(error))
        self._commits = self._count_commits(commit_sha)
        failure = self._share(commit_sha)
        if failure is not None:
            return self.report(failure, None)
        return self.report(self.checked(outcome, commit_sha), commit_sha)

    def _share(self, commit_sha: str | None) -> Failed | None:
        """Push new work to where other hosts find it; return the failure of the run when that fails for good."""
        if commit_sha is None or commit_sha == self._base_sha or not self._run.writes_branch:
            return None
        failure = share(lambda: self._system.worktrees.share(self._run, commit_sha), self._run)
        if failure is not None:
            self._commits = NO_COMMITS
        return failure

    def _commit(self, outcome: Outcome) -> str | None:
        """Return the commit of all work; without a worktree what an attempt before left, if anything."""
        if self._workspace is None or self._kind is Workspace.EMPTY:
            return self._left
        bead = self.started.bead
        unfinished = "" if isinstance(outcome, Completed) else f" (attempt {self._run.attempt}: {outcome.kind})"
        message = f"{bead.title}{unfinished}\n\nBead: {bead.key}\nRun: {self._run.id}"
        return self._system.worktrees.commit_all(self._run, message)

    def _count_commits(self, commit_sha: str | None) -> CommitRange:
        """Return the commits of the bead's work when this run left one; what goes wrong in counting costs no work."""
        if commit_sha is None or commit_sha == self._base_sha or not self._run.writes_branch:
            return NO_COMMITS
        try:
            return commits_of_work(find_repository(self.started.project, self._system.settings), commit_sha)
        except (DispatchError, OSError) as error:
            log.warning("the commits of a run were not counted", run_id=str(self._run.id), cause=repr(error))
            return NO_COMMITS

    def checked(self, outcome: Outcome, commit_sha: str | None) -> Outcome:
        """Doubt a success that changed nothing and does not say that nothing was to be done."""
        unchanged = commit_sha == self._base_sha and self.started.run.base_sha is None
        could_change = self._kind is Workspace.WORKTREE
        if (
            could_change
            and isinstance(outcome, Completed)
            and unchanged
            and not outcome.nothing_to_do
            and self._run.writes_branch
        ):
            return Failed(
                cause="no_change", summary="It ended well but changed no file, and did not say that this is right."
            )
        return outcome

    def report(self, outcome: Outcome, commit_sha: str | None) -> bool:
        """Write the outcome, again and again while PostgreSQL is away: the agent is done (PROTOCOL, rule 1).

        False when it came too late: the run is not this worker's any more.
        """
        self._recorder.flush()
        self._meter.flush()
        try:
            taken = self._write(outcome, commit_sha)
        except Exception as error:
            log.exception("the outcome cannot be stored as it is", run_id=str(self._run.id), outcome=outcome.kind)
            summary = f"It ended as {outcome.kind}, but the database does not take the words ({type(error).__name__})."
            taken = self._write(Failed(cause="unwritable outcome", summary=summary), commit_sha)
        self._recorder.flush()
        self._meter.flush()
        if not taken:
            log.warning("a late outcome was refused", run_id=str(self._run.id), outcome=outcome.kind)
        return taken

    def _write(self, outcome: Outcome, commit_sha: str | None) -> bool:
        message = ResultMessage(
            run_id=self._run.id,
            token=self.started.token,
            outcome=outcome,
            base_sha=self._base_sha,
            commit_sha=commit_sha,
            commits=self._commits,
        )
        return write_patiently(lambda: self._report(message), f"the outcome of run {self._run.id}: {outcome.kind}")

    def _report(self, message: ResultMessage) -> bool:
        self._conversation.write()  # before the token goes with the outcome
        process, report = self._process, self._system.store.running.report
        if process is None:
            return report(message)
        return report(message, host=process.host, boot_id=process.boot_id, process_group=process.process_group)

    def clean_up(self) -> None:
        """Remove the workspace; a worktree that cannot be removed now is collected by housekeeping."""
        try:
            if self._kind is Workspace.EMPTY:
                self._system.scratch.drop(self._run.id)
            else:
                self._system.worktrees.remove(self._run)
        except Exception as error:  # noqa: BLE001 - the run is reported; its result must reach whoever waits
            log.warning("a workspace is left behind", run_id=str(self._run.id), cause=repr(error))


def _pulse_limit(lease: float) -> float:
    """Return after how many seconds without a renewal an agent ends: before its lease does, after the next heartbeat.

    The settings have a lease longer than two heartbeats.
    """
    return min(max(PULSE_LIMIT, lease * 2 / 3), lease)


def _identity(run: Run) -> ProcessIdentity | None:
    if run.host is None or run.boot_id is None or run.process_group is None or run.process_started is None:
        return None
    return ProcessIdentity(
        host=run.host, boot_id=run.boot_id, process_group=run.process_group, started=run.process_started
    )
