"""What the dispatcher reads and writes: one `Round` is one transaction under the tick's lock."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.models.agent import LOCAL_POOL
from dispatch.models.dispatching import Candidate, Handover, Lane, Placement, Refusal, StatusState, Supply, SystemStatus
from dispatch.models.identity import BeadKey, IncarnationId, ProjectId, RunId, StepId, uuid7
from dispatch.models.messages import TaskMessage
from dispatch.models.states import OPEN_RUN_STATES, AgentEvent, AgentState, BeadEvent, RunEvent, RunState, StepState
from dispatch.store import beads, guard, history, records, schema
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units

_CANDIDATES = text(
    """
SELECT lane.number, bead.*
FROM unnest(CAST(:projects AS text[]), CAST(:hints AS text[]), CAST(:limits AS int[]))
     WITH ORDINALITY AS lane(project_id, hint, size, number)
CROSS JOIN LATERAL (
    SELECT * FROM beads
    WHERE beads.project_id = lane.project_id AND beads.role_hint = lane.hint
      AND beads.status = 'open' AND NOT beads.blocked AND beads.dispatchable
      AND (beads.ready_from IS NULL OR beads.ready_from <= :now)
    ORDER BY beads.priority, beads.created_at, beads.id
    LIMIT lane.size
) AS bead
ORDER BY lane.number, bead.priority, bead.created_at, bead.id
"""
)

_REFUSE = text(
    """
UPDATE beads SET refusal = refused.reason
FROM (
    SELECT bead.project_id, bead.id, wish.reason
    FROM unnest(CAST(:projects AS text[]), CAST(:ids AS text[]), CAST(:reasons AS text[]))
         AS wish(project_id, id, reason)
    JOIN beads bead ON bead.project_id = wish.project_id AND bead.id = wish.id
    WHERE bead.refusal <> wish.reason
    FOR NO KEY UPDATE OF bead SKIP LOCKED
) AS refused
WHERE beads.project_id = refused.project_id AND beads.id = refused.id
"""
)


class Round:
    """One look at the world and what is decided on it, in one transaction."""

    def __init__(self, tx: Transaction, lease: timedelta, within: IncarnationId | None) -> None:
        self._tx = tx
        self._lease = lease
        self._within = within

    def supply(self, project_id: ProjectId | None = None, *, lock: bool = True) -> Supply:
        """Say who could work now. The idle agents stay locked until the round ends, unless `lock` is False."""
        connection = self._tx.connection
        roles = {row.id: tuple(row.roles) for row in connection.execute(_fresh(self._tx, self._lease, self._within))}
        agents = schema.agents
        idle = (
            select(agents, text("NULL AS run_id"))
            .where(agents.c.state == AgentState.IDLE, agents.c.incarnation_id.in_(list(roles)))
            .order_by(agents.c.last_used_at.nulls_first(), agents.c.name)
        )
        if lock:
            idle = idle.with_for_update(skip_locked=True, of=agents)
        ticker = connection.execute(select(schema.ticker)).one()
        projects = select(schema.projects).order_by(schema.projects.c.number)
        if project_id is not None:
            projects = projects.where(schema.projects.c.id == project_id)
        runs = schema.runs
        in_use = (
            select(runs.c.role, func.count().label("open_runs"))
            .where(runs.c.state.in_(sorted(OPEN_RUN_STATES)))
            .group_by(runs.c.role)
        )
        return Supply(
            agents=tuple(records.agent_of(row, roles[row.incarnation_id]) for row in connection.execute(idle)),
            served_roles=frozenset(role for served in roles.values() for role in served),
            open_by_role={row.role: row.open_runs for row in connection.execute(in_use)},
            projects=tuple(records.project(row) for row in connection.execute(projects)),
            paused=ticker.paused,
            pause_reason=ticker.pause_reason,
        )

    def candidates(self, lanes: Sequence[Lane]) -> list[Candidate]:
        """Return the ready beads of each lane, at most its limit, in dispatch order within the lane."""
        if not lanes:
            return []
        rows = self._tx.connection.execute(
            _CANDIDATES.bindparams(now=self._tx.moment()),
            {
                "projects": [lane.project_id for lane in lanes],
                "hints": [lane.hint for lane in lanes],
                "limits": [lane.limit for lane in lanes],
            },
        )
        return [
            Candidate(bead=records.bead(row), lane=lanes[row.number - 1], timeout=_seconds(row.timeout_seconds))
            for row in rows
        ]

    def claim(self, placements: Sequence[Placement]) -> list[Handover]:
        """Write step, runs, reservations and bead for each placement that nobody was faster with.

        Those of a project that somebody else keeps locked, as a long import does, are left for the next round.
        """
        wanted = sorted({placement.bead.project_id for placement in placements})
        ours = {project_id for project_id in wanted if self._tx.try_lock_project(project_id)}
        claimed = (self._claim(placement) for placement in placements if placement.bead.project_id in ours)
        return [handover for handover in claimed if handover is not None]

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Keep the reason on each bead that was looked at and not taken; one that is being changed goes without."""
        if refusals:
            self._tx.connection.execute(
                _REFUSE,
                {
                    "projects": [refusal.bead.project_id for refusal in refusals],
                    "ids": [refusal.bead.bead_id for refusal in refusals],
                    "reasons": [refusal.reason for refusal in refusals],
                },
            )

    def _claim(self, placement: Placement) -> Handover | None:
        connection, agents = self._tx.connection, schema.agents
        wanted = [agent.id for agent in placement.agents]
        reserved = [row.id for row in guard.move(connection, agents, AgentEvent.RESERVE, agents.c.id.in_(wanted))]
        handover = self._open_step(placement) if len(reserved) == len(wanted) else None
        if handover is None and reserved:
            guard.move(connection, agents, AgentEvent.FREE, agents.c.id.in_(reserved))
        return handover

    def _open_step(self, placement: Placement) -> Handover | None:
        connection, now = self._tx.connection, self._tx.now()
        step_id = StepId(uuid7())
        opened = connection.execute(
            upsert(schema.steps)
            .values(
                id=step_id,
                project_id=placement.bead.project_id,
                bead_id=placement.bead.bead_id,
                size=len(placement.agents),
                state=StepState.OPEN,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(schema.steps.c.id)
        ).one_or_none()
        if opened is None:
            return None
        bead = guard.move_one(
            connection,
            schema.beads,
            BeadEvent.CLAIM,
            *_bead(placement.bead),
            ~schema.beads.c.blocked,
            schema.beads.c.dispatchable,
            beads.may_go(self._tx),
            values={"refusal": ""},
        )
        if bead is None:
            connection.execute(schema.steps.delete().where(schema.steps.c.id == step_id))
            return None
        tasks = self._open_runs(placement, step_id, bead)
        return Handover(
            step_id=step_id,
            project_id=placement.bead.project_id,
            tasks=tasks,
            agents=tuple(agent.id for agent in placement.agents),
            reason=placement.reason,
        )

    def _open_runs(self, placement: Placement, step_id: StepId, bead: Row[Any]) -> tuple[TaskMessage, ...]:
        connection, key = self._tx.connection, placement.bead
        attempt = _last_attempt(self._tx, key) + 1
        tasks = []
        for index, agent in enumerate(placement.agents):
            run = connection.execute(
                insert(schema.runs)
                .values(
                    id=uuid7(),
                    step_id=step_id,
                    position=index,
                    project_id=key.project_id,
                    bead_id=key.bead_id,
                    role=placement.role,
                    attempt=attempt,
                    timeout_seconds=placement.timeout.total_seconds(),
                    writes_branch=index == 0,
                    state=RunState.PENDING,
                    agent_id=agent.id,
                    agent_name=agent.name,
                    incarnation_id=agent.incarnation_id,
                    base_sha=bead.head_sha,
                    created_at=self._tx.now(),
                )
                .returning(*schema.runs.c)
            ).one()
            history.add_run_event(self._tx, "run.claimed", records.run(run), reason=placement.reason)
            tasks.append(task_message(run))
        return tuple(tasks)


class DispatchRecords:
    """The store as the dispatcher sees it."""

    def __init__(self, units: Units, lease: timedelta, within: IncarnationId | None) -> None:
        self._units = units
        self._lease = lease
        self._within = within

    @contextmanager
    def round(self) -> Iterator[Round]:
        """Open a round: the caller is the only tick until it ends."""
        with self._units.begin() as tx:
            tx.lock_tick()
            yield Round(tx, self._lease, self._within)

    @contextmanager
    def look(self) -> Iterator[Round]:
        """Open a round for looking only, as `dispatch plan` does: it locks nothing and is rolled back."""
        with self._units.read() as tx:
            yield Round(tx, self._lease, self._within)

    def mark_published(self, run_ids: Sequence[RunId]) -> None:
        """Note that the bus took these runs' messages."""
        with self._units.begin() as tx:
            guard.move(
                tx.connection,
                schema.runs,
                RunEvent.PUBLISH,
                schema.runs.c.id.in_(list(run_ids)),
                values={"published_at": tx.now(), "publishes": schema.runs.c.publishes + 1},
            )

    def count_open_runs(self, project_id: ProjectId | None = None) -> int:
        runs = schema.runs
        statement = select(func.count()).where(runs.c.state.in_(sorted(OPEN_RUN_STATES)))
        if project_id is not None:
            statement = statement.where(runs.c.project_id == project_id)
        with self._units.read() as tx:
            return int(tx.connection.execute(statement).scalar_one())

    def record_status(self, scope: str, state: StatusState, reason: str) -> None:
        """Keep the state of the system (scope empty) or of a project; the moment changes only with the content."""
        statuses = schema.statuses
        with self._units.begin() as tx:
            insertion = upsert(statuses).values(scope=scope, state=state, reason=reason, updated_at=tx.now())
            changed = (statuses.c.state != state) | (statuses.c.reason != reason)
            tx.connection.execute(
                insertion.on_conflict_do_update(
                    index_elements=[statuses.c.scope],
                    set_={"state": state, "reason": reason, "updated_at": tx.now()},
                    where=changed,
                )
            )

    def read_status(self, scope: str) -> SystemStatus | None:
        with self._units.read() as tx:
            row = tx.connection.execute(select(schema.statuses).where(schema.statuses.c.scope == scope)).one_or_none()
        if row is None:
            return None
        return SystemStatus(state=StatusState(row.state), reason=row.reason, updated_at=row.updated_at)


def task_message(run: Row[Any]) -> TaskMessage:
    """The order to start a run, made from its row."""
    return TaskMessage(
        run_id=run.id,
        step_id=run.step_id,
        project_id=run.project_id,
        bead_id=run.bead_id,
        role=run.role,
        attempt=run.attempt,
        timeout_seconds=run.timeout_seconds,
    )


def _fresh(tx: Transaction, lease: timedelta, within: IncarnationId | None) -> Any:
    """Select the workers that count: those on the queues, or only the one that serves itself."""
    incarnations = schema.incarnations
    counts = incarnations.c.pool != LOCAL_POOL if within is None else incarnations.c.id == within
    return select(incarnations.c.id, incarnations.c.roles).where(
        counts, ~incarnations.c.gone, ~incarnations.c.stopping, incarnations.c.heartbeat_at > tx.now() - lease
    )


def _last_attempt(tx: Transaction, key: BeadKey) -> int:
    runs = schema.runs
    statement = select(func.coalesce(func.max(runs.c.attempt), 0)).where(
        runs.c.project_id == key.project_id, runs.c.bead_id == key.bead_id, runs.c.state != RunState.WITHDRAWN
    )
    return int(tx.connection.execute(statement).scalar_one())


def _bead(key: BeadKey) -> tuple[Any, Any]:
    return schema.beads.c.project_id == key.project_id, schema.beads.c.id == key.bead_id


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)
