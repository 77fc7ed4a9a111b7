"""The dispatcher: finds beads that can go, claims them with agents, and hands them to the bus."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from dispatch.dispatcher import choosing, status
from dispatch.dispatcher.checking import NamedCheck, ReadinessChecker, ReadinessRecords
from dispatch.dispatcher.parking import Guards
from dispatch.dispatcher.status import StatusRecords
from dispatch.errors import UsageError
from dispatch.models.decision import Decision
from dispatch.models.dispatching import (
    Candidate,
    DispatchResult,
    Handover,
    Lane,
    Placement,
    Plan,
    Refusal,
    StatusNote,
    Supply,
    SystemStatus,
    Wishes,
)
from dispatch.models.identity import BeadId, ProjectId, RunId
from dispatch.ports import Escalator, MessageBus
from dispatch.readiness.checking import ReadinessCheck
from dispatch.settings import ReadinessMode, Settings

LOOK_AGAIN = timedelta(seconds=5)
"""How often one that dispatches looks for beads whose role nobody serves, while there are none."""

log = structlog.get_logger(__name__)


class Round(Protocol):
    """One look at the world and what is decided on it, in one transaction."""

    def supply(self, project_id: ProjectId | None = None, *, lock: bool = True) -> Supply: ...
    def candidates(self, lanes: Sequence[Lane]) -> list[Candidate]: ...
    def unserved(self, lanes: Sequence[Lane], *, answered: Collection[str], patience: timedelta) -> list[Candidate]: ...
    def claim(self, placements: Sequence[Placement]) -> list[Handover]: ...
    def refuse(self, refusals: Sequence[Refusal]) -> None: ...
    def note(self, notes: Sequence[StatusNote]) -> None: ...


class Rounds(StatusRecords, Protocol):
    """What the dispatcher needs of the store."""

    def round(self, *, wait: bool = True) -> AbstractContextManager[Round]: ...
    def look(self) -> AbstractContextManager[Round]: ...
    def mark_published(self, run_ids: Sequence[RunId]) -> Wishes: ...


class DispatchStore(Protocol):
    """The part of the store that the dispatcher uses."""

    @property
    def dispatching(self) -> Rounds: ...
    @property
    def guarding(self) -> ReadinessRecords: ...


class Workflows(Protocol):
    """What begins and ends workflows, where no run does."""

    def tend(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """What one round did: what went, and why no more could.

    `wished`: somebody asked for a tick after it had looked, and nobody else is about to do one.
    """

    results: tuple[DispatchResult, ...]
    parked: str
    wished: bool


class Dispatcher:
    """Decides what goes next. Any number of them may work at once, in any processes; the database orders them.

    Beads go to a human by the `escalator`, and are begun in `workflows` before each dispatch.
    Whether a project may be worked on, the `built_in_checks`, the function of the setting `readiness_check`, and the
    one given here are asked. `workflows`, `swarm`, `memory`, `worktrees` and `containers` can be had from it by who has
    it; none of them, nor the time, is needed to dispatch, since the store keeps all of it: a clock is given to the
    store.
    """

    def __init__(
        self,
        store: DispatchStore,
        bus: MessageBus,
        settings: Settings,
        *,
        readiness_check: ReadinessCheck | None = None,
        built_in_checks: Sequence[ReadinessCheck] = (),
        escalator: Escalator | None = None,
        workflows: Workflows | None = None,
        swarm: Any = None,
        memory: Any = None,
        worktrees: Any = None,
        containers: Any = None,
    ) -> None:
        self._store = store.dispatching
        self._bus = bus
        self._settings = settings
        self._escalator = escalator
        self.workflows, self.swarm, self.memory = workflows, swarm, memory
        self.worktrees, self.containers = worktrees, containers
        named = settings.guards.readiness_check
        own = (NamedCheck(named) if named else None, readiness_check)
        self._checker = ReadinessChecker(lambda: store.guarding, (*built_in_checks, *filter(None, own)))
        self._look_again = datetime.min.replace(tzinfo=UTC)

    def dispatch_once(self, project_id: ProjectId | None = None) -> DispatchResult:
        """Dispatch at most one bead, of one project or of any. When none went, `error` says why."""
        self._tend()
        went = self.round(project_id, 1)
        return (
            went.results[0]
            if went.results
            else DispatchResult(dispatched=False, project_id=project_id, error=went.parked)
        )

    def dispatch(self, project_id: ProjectId | None = None, limit: int | None = None) -> list[DispatchResult]:
        """Dispatch everything that can go now, at most `limit` beads; return one result for each that went."""
        self._tend()
        return list(self.round(project_id, limit).results)

    def _tend(self) -> None:
        if self.workflows is not None:
            self.workflows.tend()

    def round(self, project_id: ProjectId | None = None, limit: int | None = None, *, wait: bool = True) -> RoundReport:
        """Dispatch like `dispatch`, and tell what the round saw.

        With `wait` it then looks at the readiness of projects where that is due, and goes once more when that let some
        of them go on. Raises `TickBusyError` when another round is under way, for more than 2 s, or without `wait` at
        all.
        """
        report, unchecked = self._round(project_id, limit, wait=wait)
        if not (wait and self._checks(unchecked) and self._blocks):
            return report
        room = None if limit is None else limit - len(report.results)
        if room == 0:
            return report
        again, _ = self._round(project_id, room, wait=wait)
        return replace(again, results=(*report.results, *again.results), wished=again.wished or report.wished)

    @property
    def _blocks(self) -> bool:
        return self._settings.guards.readiness_mode is ReadinessMode.BLOCK

    def _checks(self, unchecked: frozenset[ProjectId]) -> bool:
        return (self._checker.has_checks or self._blocks) and self._checker.refresh(unchecked)

    def _round(
        self, project_id: ProjectId | None, limit: int | None, *, wait: bool
    ) -> tuple[RoundReport, frozenset[ProjectId]]:
        """Do one round, and return with its report the projects whose readiness is to be looked at."""
        with self._store.round(wait=wait) as round_:
            supply = round_.supply(project_id)
            plan = self._decide(round_, supply, limit, project_id is not None)
            handovers = round_.claim(plan.placements)
            round_.refuse(plan.refusals)
            round_.note(status.notes(supply, plan, handovers, whole=project_id is None))
        _, wishes = self._hand_over(handovers)
        report = RoundReport(
            results=tuple(_result(handover) for handover in handovers),
            parked=status.why_parked(supply, plan),
            wished=wishes.counted != supply.wanted and not wishes.settles_follow,
        )
        return report, plan.unchecked

    def plan(self, project_id: ProjectId | None = None) -> Plan:
        """Say where each bead that can go now would go, and why, changing nothing."""
        with self._store.look() as round_:
            return self._decide(round_, round_.supply(project_id, lock=False), None, True)

    def _decide(self, round_: Round, supply: Supply, limit: int | None, every_time: bool) -> Plan:
        guards = Guards(supply, self._settings)
        lanes = guards.lanes(lambda going: choosing.lanes(going, self._settings, limit))
        candidates = [*round_.candidates(lanes), *self._unserved(round_, supply, lanes, every_time=every_time)]
        plan = choosing.choose(guards.passing(candidates), supply, self._settings, limit)
        return guards.applied(plan, candidates)

    def _unserved(
        self, round_: Round, supply: Supply, lanes: Sequence[Lane], *, every_time: bool
    ) -> Sequence[Candidate]:
        """Return what waited long enough for a role that nobody serves.

        After a look that found nothing the next one is `LOOK_AGAIN` later, unless it is to be `every_time`.
        """
        patience = self._settings.dispatch.patience
        if patience is None or not lanes or (supply.now < self._look_again and not every_time):
            return ()
        found = round_.unserved(
            choosing.fallback_lanes(lanes),
            answered=choosing.answered_hints(supply, self._settings),
            patience=patience,
        )
        if not found:
            self._look_again = supply.now + min(LOOK_AGAIN, patience)
        return found

    def hand_over(self, handovers: Sequence[Handover]) -> int:
        """Publish steps that are in the database; return how many the bus took.

        One that it does not take now stays pending, and the rescue of a later tick publishes it.
        """
        taken, _ = self._hand_over(handovers)
        return taken

    def _hand_over(self, handovers: Sequence[Handover]) -> tuple[int, Wishes]:
        """Publish steps; return how many the bus took, and what is wished for after that."""
        taken = 0
        published: list[RunId] = []
        for handover in handovers:
            try:
                self._publish(handover)
            except Exception as error:  # noqa: BLE001 - brokers fail in many ways; the row is the outbox
                log.warning("the bus did not take a step", step=str(handover.step_id), cause=repr(error))
                break
            published += handover.run_ids
            taken += 1
        return taken, self._store.mark_published(published)

    def _publish(self, handover: Handover) -> None:
        if len(handover.tasks) == 1:
            self._bus.publish_task(handover.project_id, handover.tasks[0])
        else:
            self._bus.publish_step(handover.project_id, handover.tasks)

    def escalate_bead_to_ceo(self, bead_id: str, reason: str, returned_to: str | None = None) -> Decision:
        """Have a human decide about a bead before it goes on; see `Escalator`. Raises `UsageError` without one."""
        if self._escalator is None:
            raise UsageError(
                problem="This dispatcher was made without an escalator",
                cure="Give it one, for example DecisionEscalator(store); `dispatch.connect` does.",
            )
        return self._escalator.escalate_bead_to_ceo(bead_id, reason, returned_to)

    def system_status(self, project_id: ProjectId | None = None) -> SystemStatus:
        """Return whether the system, or one project of it, is at work, and why not. The same for every process."""
        return status.read(self._store, project_id)


def _result(handover: Handover) -> DispatchResult:
    task = handover.tasks[0]
    return DispatchResult(
        dispatched=True,
        project_id=handover.project_id,
        bead_id=BeadId(task.bead_id),
        agent_id=handover.agents[0],
        run_id=RunId(task.run_id),
        provider_id=handover.provider or None,
        role=task.role,
        reason=handover.reason,
    )
