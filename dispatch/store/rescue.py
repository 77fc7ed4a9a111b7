"""What brings back what was dropped: messages that no worker started, leases that ended, workers that are gone.

Each method is one pass of a tick, in transactions of its own, so that a tick that dies half-way leaves whole ones.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import case, exists, func, literal, or_, select, update

from dispatch.models.dispatching import Handover, Pulse
from dispatch.models.identity import ProjectId, RunId, StepId
from dispatch.models.states import AgentEvent, RunState, StopReason
from dispatch.store import expiring, guard, history, schema, stopping
from dispatch.store.claiming import task_message
from dispatch.store.settling import withdraw
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.wishes import COUNT_WISH

_RUNS = schema.runs
_TICKER = schema.ticker
_HANDOVER_TAKES = timedelta(seconds=5)
"""A run younger than this may be on its way to the bus this moment."""
_BATCH = 200


class RescueRecords:
    """The store as the rescue part of a tick sees it."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def beat(self, *, largest_gap: timedelta, arm_after: timedelta) -> Pulse:
        """Note that a tick began, and say whether rescue may trust what it sees.

        Ticks that came without a gap over `largest_gap` for `arm_after` arm it: after an outage or a laptop's sleep
        every lease looks over (PROTOCOL, rule 11).
        """
        with self._units.begin() as tx:
            tx.lock_tick()
            now = tx.now()
            steady = case(
                (_TICKER.c.last_tick_at.is_(None), now),
                (now - _TICKER.c.last_tick_at > largest_gap, now),
                else_=_TICKER.c.steady_since,
            )
            row = tx.connection.execute(
                update(_TICKER)
                .values(steady_since=steady, last_tick_at=now, nudge_queued_at=None)
                .returning(*_TICKER.c, (now - _TICKER.c.steady_since >= arm_after).label("armed"))
            ).one()
        return Pulse(armed=row.armed, wanted=row.wanted, paused=row.paused, pause_reason=row.pause_reason)

    def take_nudge(self) -> None:
        """Note that the queued nudge was taken: the next wish is to be published again."""
        with self._units.single() as tx:
            tx.connection.execute(update(_TICKER).values(nudge_queued_at=None))

    def count_wish(self) -> None:
        """Count a wish for a tick that the caller sees to itself."""
        with self._units.single() as tx:
            tx.run(COUNT_WISH)

    def want(self, *, queued_for: timedelta) -> bool:
        """Count a nudge; tell whether to publish one: not while another that still lives waits in the queue."""
        with self._units.single() as tx:
            now = tx.now()
            before = select(_TICKER.c.id, _TICKER.c.nudge_queued_at).with_for_update().cte("before")
            queued = before.c.nudge_queued_at > now - queued_for
            row = tx.connection.execute(
                update(_TICKER)
                .where(_TICKER.c.id == before.c.id)
                .values(
                    wanted=_TICKER.c.wanted + 1,
                    nudge_queued_at=case((queued, before.c.nudge_queued_at), else_=now),
                )
                .returning(func.coalesce(queued, literal(False)).label("queued"))
            ).one()
        return not row.queued

    def bury_incarnations(self, lease: timedelta) -> list[str]:
        """Mark workers that have not been heard of for a lease as gone, and their agents; return their names."""
        incarnations, agents = schema.incarnations, schema.agents
        with self._units.begin() as tx:
            tx.lock_tick()
            rows = tx.connection.execute(
                update(incarnations)
                .where(~incarnations.c.gone, incarnations.c.heartbeat_at <= tx.now() - lease)
                .values(gone=True)
                .returning(incarnations.c.id, incarnations.c.node)
            ).all()
            for row in rows:
                guard.move(tx.connection, agents, AgentEvent.LEAVE, agents.c.incarnation_id == row.id)
                history.add_event(tx, "worker.gone", worker=row.node, incarnation=str(row.id))
        return [row.node for row in rows]

    def withdraw_unstartable(self, *, max_publishes: int, backoff: timedelta, lease: timedelta) -> list[RunId]:
        """Take back pending runs whose project or role is paused, whose role nobody serves, or that nobody started in
        time.
        """
        with self._units.read() as tx:
            rows = tx.connection.execute(_unstartable(tx, max_publishes, backoff, lease)).all()
        taken = []
        for row in rows:
            with self._units.begin() as tx:
                tx.lock_tick()
                if tx.try_lock_project(ProjectId(row.project_id)) and withdraw(tx, row, row.why):
                    taken.append(RunId(row.id))
        return taken

    def unpublished(self, backoff: timedelta) -> list[Handover]:
        """Return pending runs whose message was never taken by the bus or seems lost, one handover each.

        Lost: older than backoff x 2^(n-1) after the n-th time. The same run may be published again safely.
        """
        patience = backoff * func.power(2, _RUNS.c.publishes - 1)
        statement = (
            select(_RUNS)
            .where(
                guard.within(_RUNS.c.state, [RunState.PENDING]),
                or_(
                    _RUNS.c.published_at.is_(None) & (_RUNS.c.created_at <= self._units.clock.now() - _HANDOVER_TAKES),
                    _RUNS.c.published_at <= self._units.clock.now() - patience,
                ),
            )
            .order_by(_RUNS.c.created_at)
            .limit(_BATCH)
        )
        with self._units.read() as tx:
            rows = tx.connection.execute(statement).all()
        return [
            Handover(step_id=StepId(row.step_id), project_id=ProjectId(row.project_id), tasks=(task_message(row),))
            for row in rows
        ]

    def stop_overdue(self, slack: timedelta) -> list[RunId]:
        """Ask running agents to stop that are past their deadline by more than `slack`."""
        with self._units.begin() as tx:
            tx.lock_tick()
            rows = stopping.ask_to_stop(tx, StopReason.DEADLINE, _RUNS.c.deadline_at <= tx.now() - slack)
        return [RunId(row.id) for row in rows]

    def expire_leases(self) -> list[RunId]:
        """Report running runs whose lease ended: timed out, cancelled where a stop was asked, else lost."""
        with self._units.begin() as tx:
            tx.lock_tick()
            return expiring.expire(tx, _RUNS.c.lease_until <= tx.now(), limit=_BATCH)

    def stale_landings(self, patience: timedelta) -> list[ProjectId]:
        """Return projects with work that waits to land and was not asked for within `patience`; note the asking."""
        beads, projects = schema.beads, schema.projects
        with self._units.begin() as tx:
            tx.lock_tick()
            waiting = exists().where(
                beads.c.project_id == projects.c.id,
                guard.within(beads.c.status, ["landing"]),
                or_(beads.c.landing_from.is_(None), beads.c.landing_from <= tx.now()),
            )
            asked = projects.c.landing_asked_at
            rows = tx.connection.execute(
                update(projects)
                .where(waiting, or_(asked.is_(None), asked <= tx.now() - patience))
                .values(landing_asked_at=tx.now())
                .returning(projects.c.id)
            )
            return [ProjectId(row.id) for row in rows]


def _unstartable(tx: Transaction, max_publishes: int, backoff: timedelta, lease: timedelta) -> Any:
    incarnations, projects = schema.incarnations, schema.projects
    serving = (
        select(incarnations.c.id)
        .where(
            ~incarnations.c.gone,
            incarnations.c.heartbeat_at > tx.now() - lease,
            _RUNS.c.role == func.any(incarnations.c.roles),
        )
        .exists()
    )
    patience = backoff * func.power(2, _RUNS.c.publishes - 1)
    worn_out = (_RUNS.c.publishes >= max_publishes) & (_RUNS.c.published_at <= tx.now() - patience)
    role_paused = _TICKER.c.paused_roles.has_key(_RUNS.c.role)
    why = case(
        (projects.c.paused, "The project is paused."),
        (role_paused, func.concat("The role ", _RUNS.c.role, " is paused.")),
        (~serving, func.concat("No live worker serves the role ", _RUNS.c.role, ".")),
        else_="No worker started it, though it was handed over again and again.",
    )
    return (
        select(_RUNS, why.label("why"))
        .join(projects, projects.c.id == _RUNS.c.project_id)
        .join(_TICKER, literal(True))
        .where(guard.within(_RUNS.c.state, [RunState.PENDING]), or_(projects.c.paused, role_paused, ~serving, worn_out))
        .limit(_BATCH)
    )
