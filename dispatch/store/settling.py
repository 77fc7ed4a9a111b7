"""What the result side writes: reports come in, are settled once, and move their bead.

Every settle is one transaction: project lock, bead row, guarded run, agent, and for the last run of a step the bead.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, update

from dispatch.models.bead import Bead
from dispatch.models.decision import Decision
from dispatch.models.identity import AgentId, BeadId, BeadKey, ProjectId, RunId, StepId
from dispatch.models.run import ErrorRecord, PendingTask, Run
from dispatch.models.settling import BeadEffect, Escalation, JoinedStep, LookBack, Past, Settled
from dispatch.models.states import OPEN_RUN_STATES, BeadEvent, RunEvent, RunState, StepState
from dispatch.store import (
    asking,
    beads,
    binding,
    effects,
    ending,
    guard,
    guarding,
    history,
    progress,
    providers,
    records,
    schema,
    workflows,
)
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.wishes import COUNT_WISH

Decide = Callable[[JoinedStep], BeadEffect | LookBack]
"""Decides about a step that was joined; when it answers with a `LookBack` it is asked again, with that past."""
_RUNS = schema.runs
_MOST_DOUBLINGS = 12


class SettlingRecords:
    """The store as the result handler sees it."""

    def __init__(self, units: Units, lease: timedelta) -> None:
        self._units = units
        self._lease = lease

    def settle(self, run_id: RunId, decide: Decide, judge: providers.Judge | None = None) -> Settled | None:
        """Settle a reported run; None when it is unknown, not reported, or settled already.

        `judge` decides what it shows of its provider, when it had one.
        """
        return retrying(lambda: self._settle(run_id, decide, judge))

    def _settle(self, run_id: RunId, decide: Decide, judge: providers.Judge | None) -> Settled | None:
        with self._units.begin() as tx:
            key = tx.lock_project_of(run_id)
            row = ending.settle_run(tx, run_id, key) if key is not None else None
            if row is None:
                return None
            run = records.run(records.run_row(row))
            guarding.note_outcome(tx, run, failing=row.failing)
            if run.provider and judge is not None:
                providers.note_run(tx, run, judge)
            if row.joined_size is None:
                tx.run(COUNT_WISH)
                return Settled(run=run, others_wait=row.others_wait)
            only = run if row.joined_size == 1 else None
            effect, released = self._move_bead(tx, row, only, run.step_id, row.joined_size, decide)
            return Settled(run=run, effect=effect, released=released, others_wait=row.others_wait)

    def join(self, step_id: StepId, decide: Decide) -> BeadEffect | None:
        """Join a step whose runs have all ended though nobody joined it, as when the last one was withdrawn."""
        return retrying(lambda: self._join(step_id, decide))

    def _join(self, step_id: StepId, decide: Decide) -> BeadEffect | None:
        steps = schema.steps
        with self._units.begin() as tx:
            step = tx.connection.execute(select(steps).where(steps.c.id == step_id)).one_or_none()
            if step is None:
                return None
            tx.lock_project(ProjectId(step.project_id))
            bead_row = effects.lock_bead(tx, BeadKey.of(step.project_id, step.bead_id))
            if bead_row is None or open_runs_of(tx, step_id) or not effects.join_step(tx, step_id):
                return None
            return self._move_bead(tx, bead_row, None, step_id, step.size, decide)[0]

    def _move_bead(
        self, tx: Transaction, bead_row: Row[Any], only: Run | None, step_id: StepId, size: int, decide: Decide
    ) -> tuple[BeadEffect, tuple[BeadId, ...]]:
        """Decide about a step that was joined, and do it. `only` is its run when it had one."""
        runs = [only] if only is not None else [records.run(row) for row in effects.settled_runs(tx, step_id)]
        bead = records.bead(bead_row)
        execution = workflows.execution_of(tx, bead.key) if bead.node else None
        joined = JoinedStep(bead=bead, runs=runs, size=size, execution=execution)
        effect = decide(joined)
        if isinstance(effect, LookBack):
            past = progress.look_back(tx, joined.bead.key, effect, self._lease)
            effect = decide(replace(joined, past=past))
        assert isinstance(effect, BeadEffect), "it has all it asked for"
        return effect, effects.apply_effect(tx, bead_row, effect, runs[0] if runs else None)

    def note_failed_settle(self, run_id: RunId, cause: str, *, max_failures: int) -> int:
        """Count a settle that raised; return how many there were, 0 when the run does not wait for one any more.

        From `max_failures` on a human has to look: until then the run holds no agent.
        """
        return retrying(lambda: self._note_failed_settle(run_id, cause, max_failures))

    def _note_failed_settle(self, run_id: RunId, cause: str, max_failures: int) -> int:
        with self._units.begin() as tx:
            row = tx.connection.execute(
                update(_RUNS)
                .where(_RUNS.c.id == run_id, guard.within(_RUNS.c.state, [RunState.REPORTED]))
                .values(settle_failures=_RUNS.c.settle_failures + 1)
                .returning(*_RUNS.c)
            ).one_or_none()
            if row is None:
                return 0
            failures = int(row.settle_failures)
            history.add_run_event(tx, "run.settle_failed", records.run(row), cause=cause, failures=failures)
            if failures >= max_failures:
                binding.release_agent(tx, row)
            return failures

    def finish_landing(self, key: BeadKey, effect: BeadEffect) -> tuple[BeadId, ...]:
        """Apply what a landing came to; return the beads that became unblocked."""
        return retrying(lambda: self._finish_landing(key, effect))

    def _finish_landing(self, key: BeadKey, effect: BeadEffect) -> tuple[BeadId, ...]:
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            row = effects.lock_bead(tx, key)
            if row is None:
                return ()
            last_run = tx.connection.execute(
                select(_RUNS)
                .where(_RUNS.c.project_id == key.project_id, _RUNS.c.bead_id == key.bead_id)
                .order_by(_RUNS.c.created_at.desc())
                .limit(1)
            ).one_or_none()
            return effects.apply_effect(tx, row, effect, records.run(last_run) if last_run else None)

    def escalate(self, key: BeadKey, escalation: Escalation) -> Decision:
        """Block a bead behind a decision; raises `NotFoundError` for an unknown bead."""
        return retrying(lambda: self._escalate(key, escalation))

    def _escalate(self, key: BeadKey, escalation: Escalation) -> Decision:
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            return asking.open_decision(tx, beads.get(tx, key), escalation)

    def look_back(self, key: BeadKey, wanted: LookBack) -> Past:
        """Return of a bead's past what is wanted."""
        with self._units.read() as tx:
            return progress.look_back(tx, key, wanted, self._lease)

    def resolve(self, name: str) -> BeadKey:
        """Find the bead a human means by `id` or `project/id`."""
        with self._units.read() as tx:
            return beads.resolve(tx, name)

    def find_bead(self, key: BeadKey) -> Bead | None:
        with self._units.read() as tx:
            return beads.find(tx, key)

    def errors_of(self, key: BeadKey) -> list[ErrorRecord]:
        with self._units.read() as tx:
            return history.errors_of(tx, key)

    def find_run(self, run_id: UUID) -> Run | None:
        with self._units.read() as tx:
            row = tx.connection.execute(select(_RUNS).where(_RUNS.c.id == run_id)).one_or_none()
        return records.run(row) if row else None

    def pending_tasks(self) -> list[PendingTask]:
        """Return a view of every open run, oldest first."""
        statement = select(_RUNS).where(guard.within(_RUNS.c.state, OPEN_RUN_STATES)).order_by(_RUNS.c.created_at)
        with self._units.read() as tx:
            return [_pending(row) for row in tx.connection.execute(statement)]

    def pending_count(self) -> int:
        statement = select(func.count()).where(guard.within(_RUNS.c.state, OPEN_RUN_STATES))
        with self._units.read() as tx:
            return tx.connection.execute(statement).scalar_one()

    def stale_reports(self, age: timedelta, *, max_failures: int) -> list[RunId]:
        """Return runs that were reported longer than `age` ago and still wait to be settled, oldest first.

        One whose settling failed `max_failures` times waits for the decision about its bead; when that is made it is
        among them again, after twice the age for each failure.
        """
        beads_ = schema.beads
        patience = age * func.power(2, func.least(_RUNS.c.settle_failures, _MOST_DOUBLINGS))
        decided = ~beads_.c.blocked & (_RUNS.c.reported_at <= self._units.clock.now() - patience)
        with self._units.read() as tx:
            rows = tx.connection.execute(
                select(_RUNS.c.id)
                .join(beads_, (beads_.c.project_id == _RUNS.c.project_id) & (beads_.c.id == _RUNS.c.bead_id))
                .where(
                    guard.within(_RUNS.c.state, [RunState.REPORTED]),
                    _RUNS.c.reported_at <= tx.now() - age,
                    or_(_RUNS.c.settle_failures < max_failures, decided),
                )
                .order_by(_RUNS.c.reported_at)
                .limit(200)
            )
            return [RunId(row.id) for row in rows]

    def stale_steps(self) -> list[StepId]:
        """Return open steps without an open run."""
        steps = schema.steps
        open_run = select(_RUNS.c.id).where(_RUNS.c.step_id == steps.c.id, guard.within(_RUNS.c.state, OPEN_RUN_STATES))
        with self._units.read() as tx:
            rows = tx.connection.execute(
                select(steps.c.id).where(guard.within(steps.c.state, [StepState.OPEN]), ~open_run.exists()).limit(200)
            )
            return [StepId(row.id) for row in rows]


def open_runs_of(tx: Transaction, step_id: StepId) -> int:
    statement = select(func.count()).where(_RUNS.c.step_id == step_id, guard.within(_RUNS.c.state, OPEN_RUN_STATES))
    return tx.connection.execute(statement).scalar_one()


def withdraw(tx: Transaction, row: Any, reason: str) -> bool:
    """Take a pending run back under the project's lock: agent freed, and with the step's only runs the bead too.

    A step of which other runs were settled stays open for `join`.
    """
    moved = guard.move_one(tx.connection, _RUNS, RunEvent.WITHDRAW, _RUNS.c.id == row.id)
    if moved is None:
        return False
    run = records.run(moved)
    history.add_run_event(tx, "run.withdrawn", run, reason=reason)
    binding.free_agent(tx, run.agent_id)
    if open_runs_of(tx, run.step_id) == 0 and not effects.settled_runs(tx, run.step_id):
        effects.join_step(tx, run.step_id)
        returned = guard.move_one(
            tx.connection,
            schema.beads,
            BeadEvent.RETURN,
            schema.beads.c.project_id == run.project_id,
            schema.beads.c.id == run.bead_id,
            values={"refusal": reason},
        )
        if returned is not None:
            history.add_event(tx, "bead.open", bead=run.bead_key, run_id=run.id, move=BeadEvent.RETURN, reason=reason)
    return True


def _pending(row: Any) -> PendingTask:
    return PendingTask(
        correlation_id=RunId(row.id),
        project_id=ProjectId(row.project_id),
        bead_id=BeadId(row.bead_id),
        agent_id=AgentId(row.agent_id) if row.agent_id else None,
        role=row.role,
        dispatched_at=row.created_at,
        last_update=row.reported_at or row.started_at or row.published_at or row.created_at,
    )
