"""The result handler: settles what runs report, exactly once each."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog

from dispatch.errors import NotFoundError
from dispatch.escalation import settle_broken
from dispatch.models.bead import Bead
from dispatch.models.decision import Decision
from dispatch.models.identity import AgentId, BeadId, BeadKey, ProjectId, RunId, StepId
from dispatch.models.landing import DecidedLanding
from dispatch.models.messages import ResultMessage
from dispatch.models.provider import ProviderRecord
from dispatch.models.run import PendingTask, Run
from dispatch.models.settling import BeadEffect, Escalation, JoinedStep, LookBack, Past, Settled
from dispatch.models.states import BeadEvent
from dispatch.models.workflow import Execution
from dispatch.ports import MessageBus
from dispatch.readiness.providers import after_run
from dispatch.results.judging import judge, judge_landing
from dispatch.results.limits import inform
from dispatch.settings import Settings

MAX_SETTLE_FAILURES = 5
SWEEP_AFTER = timedelta(seconds=5)
NUDGE_LIVES = timedelta(seconds=4)
"""How long a nudge may wait in its queue; an older one expires there."""

MOST_LEFT = 3
"""How often in a row a process leaves the dispatching after a settle to the next settle."""

log = structlog.get_logger(__name__)


class ResultRecords(Protocol):
    """What the handler needs of the store."""

    def settle(
        self,
        run_id: RunId,
        decide: Callable[[JoinedStep], BeadEffect | LookBack],
        judge: Callable[[ProviderRecord, Run, datetime], ProviderRecord],
    ) -> Settled | None: ...
    def join(self, step_id: StepId, decide: Callable[[JoinedStep], BeadEffect | LookBack]) -> BeadEffect | None: ...
    def look_back(self, key: BeadKey, wanted: LookBack) -> Past: ...
    def note_failed_settle(self, run_id: RunId, cause: str, *, max_failures: int) -> int: ...
    def finish_landing(self, key: BeadKey, effect: BeadEffect) -> tuple[BeadId, ...]: ...
    def escalate(self, key: BeadKey, escalation: Escalation) -> Decision: ...
    def resolve(self, name: str) -> BeadKey: ...
    def find_bead(self, key: BeadKey) -> Bead | None: ...
    def find_run(self, run_id: UUID) -> Run | None: ...
    def pending_tasks(self) -> list[PendingTask]: ...
    def pending_count(self) -> int: ...
    def stale_reports(self, age: timedelta, *, max_failures: int) -> list[RunId]: ...
    def stale_steps(self) -> list[StepId]: ...


class Reports(Protocol):
    """Where a result is written before it is handled."""

    def report(self, message: ResultMessage) -> bool: ...


class Wishes(Protocol):
    """Where the wish for a tick is counted."""

    def want(self, *, queued_for: timedelta) -> bool: ...


class Executions(Protocol):
    """Where beads are in their workflows."""

    def execution(self, key: BeadKey) -> Execution | None: ...


class ResultStore(Protocol):
    """The part of the store that the handler uses."""

    @property
    def settling(self) -> ResultRecords: ...
    @property
    def running(self) -> Reports: ...
    @property
    def rescue(self) -> Wishes: ...
    @property
    def workflows(self) -> Executions: ...


class ResultHandler:
    """Handles results. Every call may come twice, late, or for something unknown; each result counts once.

    `go_on` dispatches in this process what a settled run or a landing made possible; without it a nudge asks for that.
    """

    def __init__(
        self, store: ResultStore, bus: MessageBus, settings: Settings, *, go_on: Callable[[], object] | None = None
    ) -> None:
        self._records = store.settling
        self._reports = store.running
        self._wishes = store.rescue
        self._workflows = store.workflows
        self._bus = bus
        self._settings = settings
        self._dispatch_here = go_on
        self._left_to_others = 0

    def track(
        self, correlation_id: RunId, project_id: ProjectId, bead_id: BeadId, agent_id: AgentId, role: str
    ) -> PendingTask:
        """Return the pending task of a run that was claimed with these facts.

        A run is tracked from its claim on, in the same transaction, so there is nothing to add here; the call says
        whether the caller's picture is right. Raises `NotFoundError` when no open run has them.
        """
        for task in self._records.pending_tasks():
            facts = (task.project_id, task.bead_id, task.agent_id, task.role)
            if task.correlation_id == correlation_id and facts == (project_id, bead_id, agent_id, role):
                return task
        raise NotFoundError(thing="open run", name=str(correlation_id), cure="See `dispatch runs`.")

    def handle_result(self, result: ResultMessage) -> PendingTask | None:
        """Write and settle a result. None: it is unknown, late (its fence is wrong), or was handled already."""
        task = next((task for task in self._records.pending_tasks() if task.correlation_id == result.run_id), None)
        if task is None or not self._reports.report(result):
            return None
        return task if self.settle(RunId(result.run_id)) is not None else None

    def get_pending(self) -> list[PendingTask]:
        """Return copies of the views of all open runs, oldest first."""
        return self._records.pending_tasks()

    def pending_count(self) -> int:
        """Return how many runs are open."""
        return self._records.pending_count()

    def settle(self, run_id: RunId) -> Settled | None:
        """Settle a reported run and see to what follows from it. None: there was nothing to settle."""
        settled = self._settle(run_id)
        if settled is not None:
            self.go_on_after(settled)
        return settled

    def _settle(self, run_id: RunId) -> Settled | None:
        settled = self._records.settle(run_id, self._judge, self._judge_provider)
        if settled is not None and settled.effect is not None and settled.effect.event is BeadEvent.AWAIT_LANDING:
            self._publish(lambda: self._bus.publish_landing(settled.run.project_id), "a landing")
        return settled

    def try_settle(self, run_id: RunId) -> Settled | None:
        """Settle a run, but nothing else that follows; a failure is counted on the run.

        From the fifth on its bead waits for a decision.
        """
        try:
            return self._settle(run_id)
        except Exception as error:
            self._note_failure(run_id, f"{type(error).__name__}: {error}")
            raise

    def _note_failure(self, run_id: RunId, cause: str) -> None:
        failures = self._records.note_failed_settle(run_id, cause, max_failures=MAX_SETTLE_FAILURES)
        log.warning("a run could not be settled", run_id=str(run_id), failures=failures, cause=cause)
        if failures < MAX_SETTLE_FAILURES:
            return
        run = self._records.find_run(run_id)
        bead = self._records.find_bead(run.bead_key) if run else None
        if bead is not None and not bead.is_done:
            past = self._records.look_back(bead.key, LookBack(actions=True))
            self._records.escalate(bead.key, inform(settle_broken(bead, str(run_id), cause), bead, past))

    def sweep(self, reported_now: Sequence[RunId] = ()) -> list[RunId]:
        """Settle what a lost message left: runs that were reported more than 5 s ago, and steps that nobody joined.

        `reported_now` are runs for which no message is on its way, so that nothing is won by waiting.
        """
        stale = self._records.stale_reports(SWEEP_AFTER, max_failures=MAX_SETTLE_FAILURES)
        settled = []
        for run_id in dict.fromkeys([*reported_now, *stale]):
            if self._survives(lambda run_id=run_id: self.try_settle(run_id), run=str(run_id)):  # type: ignore[misc]
                settled.append(run_id)
        for step_id in self._records.stale_steps():
            self._survives(lambda step_id=step_id: self._join(step_id), step=str(step_id))  # type: ignore[misc]
        return settled

    def _join(self, step_id: StepId) -> BeadEffect | None:
        return self._records.join(step_id, self._judge)

    def _survives(self, work: Callable[[], Any], **names: str) -> bool:
        """Do one thing of a sweep; one that raises is logged and does not keep the others from their turn."""
        try:
            return work() is not None
        except Exception as error:  # noqa: BLE001 - whatever it is, it was counted on the run, and the sweep goes on
            log.warning("the sweep left something behind", cause=repr(error), **names)
            return False

    def landed(self, bead: Bead, result: DecidedLanding) -> BeadEffect:
        """Apply what a landing came to."""
        execution = self._workflows.execution(bead.key) if bead.node else None
        effect = judge_landing(bead, result, self._settings, execution=execution)
        if isinstance(effect, LookBack):
            past = self._records.look_back(bead.key, effect)
            effect = judge_landing(bead, result, self._settings, past, execution)
        assert isinstance(effect, BeadEffect), "it has all it asked for"
        self._records.finish_landing(bead.key, effect)
        self.go_on()
        return effect

    def go_on_after(self, settled: Settled) -> None:
        """Go on, unless another run waits to be settled, whose settle will: one round then serves several agents.

        That is left to others a few times in a row at most. Where the other settle does not come, the next tick does.
        """
        if settled.others_wait and self._left_to_others < MOST_LEFT:
            self._left_to_others += 1
            return
        self._left_to_others = 0
        self.go_on()

    def go_on(self) -> None:
        """See to it that what a settled run or a landing made possible is dispatched: here, or by a tick.

        The wish for that was counted in their transactions.
        """
        if self._dispatch_here is None:
            self.nudge()
        else:
            self._dispatch_here()

    def nudge(self) -> None:
        """Ask for a tick now, unless one is on its way. That the broker is away is no error: beat ticks anyway."""
        if self._wishes.want(queued_for=NUDGE_LIVES):
            self._publish(self._bus.publish_nudge, "a nudge")

    def _judge(self, joined: JoinedStep) -> BeadEffect | LookBack:
        return judge(joined, self._settings)

    def _judge_provider(self, record: ProviderRecord, run: Run, now: datetime) -> ProviderRecord:
        return after_run(record, run, self._settings.guards, now)

    def _publish(self, publish: Callable[[], None], what: str) -> None:
        """Publish what a later tick asks for again: failing here must not undo, or hide, what was written."""
        try:
            publish()
        except Exception as error:  # noqa: BLE001 - brokers fail in many ways; the database remembers
            log.warning("the bus did not take a message", what=what, cause=repr(error))
