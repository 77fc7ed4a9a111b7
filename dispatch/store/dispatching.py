"""What the dispatcher reads and writes: one `Round` is one transaction under the tick's lock."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from dispatch.errors import TickBusyError
from dispatch.models.dispatching import (
    Candidate,
    Handover,
    Lane,
    Placement,
    Refusal,
    StatusNote,
    StatusState,
    Supply,
    SystemStatus,
    Wishes,
)
from dispatch.models.identity import IncarnationId, ProjectId, RunId
from dispatch.models.states import OPEN_RUN_STATES, RunEvent, RunState
from dispatch.store import guard, records, schema
from dispatch.store.claiming import claim
from dispatch.store.supply import supply
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.unserved import unserved
from dispatch.store.written import NOW, written

_CANDIDATES = written(
    """
SELECT lane.number, bead.*
FROM unnest(
    CAST(:projects AS text[]), CAST(:hints AS text[]), CAST(:limits AS int[]), CAST(:caps AS numeric[])
) WITH ORDINALITY AS lane(project_id, hint, size, bead_cap, number)
CROSS JOIN LATERAL (
    SELECT * FROM beads
    WHERE beads.project_id = lane.project_id AND beads.role_hint = lane.hint
      AND beads.status = 'open' AND NOT beads.blocked AND beads.dispatchable
      AND (beads.ready_from IS NULL OR beads.ready_from <= :now)
      AND (lane.bead_cap IS NULL OR beads.usd < lane.bead_cap)
    ORDER BY beads.priority, beads.created_at, beads.id
    LIMIT lane.size
) AS bead
ORDER BY lane.number, bead.priority, bead.created_at, bead.id
"""
)

_REFUSE = written(
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


_NOTE = written(
    """
INSERT INTO statuses AS known (scope, state, reason, updated_at)
SELECT scope, state, reason, :now
FROM unnest(CAST(:scopes AS text[]), CAST(:states AS text[]), CAST(:reasons AS text[])) AS note(scope, state, reason)
ORDER BY scope
ON CONFLICT (scope) DO UPDATE SET state = EXCLUDED.state, reason = EXCLUDED.reason, updated_at = EXCLUDED.updated_at
WHERE (known.state, known.reason) <> (EXCLUDED.state, EXCLUDED.reason)
"""
)


_MARK_PUBLISHED = written(
    f"""
WITH marked AS (
    UPDATE runs SET state = {guard.target(schema.runs, RunEvent.PUBLISH)}, published_at = {NOW},
        publishes = publishes + 1
    WHERE id = ANY (CAST(:runs AS uuid[])) AND state IN {guard.sources(schema.runs, RunEvent.PUBLISH)}
)
SELECT wanted, EXISTS (
    SELECT FROM runs WHERE state = '{RunState.REPORTED}' AND settle_failures = 0
) AS settles_follow
FROM ticker
"""
)


class Round:
    """One look at the world and what is decided on it, in one transaction."""

    def __init__(
        self, tx: Transaction, lease: timedelta, within: IncarnationId | None, moment: datetime | None = None
    ) -> None:
        self._tx = tx
        self._moment = moment or tx.moment()
        self._lease = lease
        self._within = within

    def supply(self, project_id: ProjectId | None = None, *, lock: bool = True) -> Supply:
        """Say who could work now. The idle agents stay locked until the round ends, unless `lock` is False."""
        return supply(self._tx, self._moment, lease=self._lease, within=self._within, project_id=project_id, lock=lock)

    def candidates(self, lanes: Sequence[Lane]) -> list[Candidate]:
        """Return the ready beads of each lane, at most its limit, in dispatch order within the lane."""
        if not lanes:
            return []
        rows = self._tx.run(
            _CANDIDATES,
            projects=[lane.project_id for lane in lanes],
            hints=[lane.hint for lane in lanes],
            limits=[lane.limit for lane in lanes],
            caps=[lane.bead_cap for lane in lanes],
            now=self._moment,
        )
        return [_candidate(row, lanes[row.number - 1]) for row in rows]

    def unserved(self, lanes: Sequence[Lane], *, answered: Collection[str], patience: timedelta) -> list[Candidate]:
        """Return beads that waited for `patience` for a role which nobody serves, in dispatch order.

        `lanes`, one for each project to look at, say how many of a role at most, and for whom; `answered` are the hints
        that other lanes look for.
        """
        rows = unserved(self._tx, self._moment, lanes, answered=answered, patience=patience, lease=self._lease)
        return [_candidate(row, replace(lanes[row.number - 1], hint=row.role_hint)) for row in rows]

    def claim(self, placements: Sequence[Placement]) -> list[Handover]:
        """Write step, runs, reservations and bead for each placement that nobody was faster with.

        Those of a project that somebody else keeps locked, as a long import does, are left for the next round.
        """
        ours = self._tx.try_lock_projects({placement.bead.project_id for placement in placements})
        return claim(
            self._tx, [placement for placement in placements if placement.bead.project_id in ours], self._moment
        )

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Keep the reason on each bead that was looked at and not taken; one that is being changed goes without."""
        if refusals:
            self._tx.run(
                _REFUSE,
                projects=[refusal.bead.project_id for refusal in refusals],
                ids=[refusal.bead.bead_id for refusal in refusals],
                reasons=[refusal.reason for refusal in refusals],
            )

    def note(self, notes: Sequence[StatusNote]) -> None:
        """Keep the state of the system and of projects; its moment changes only with the content."""
        if notes:
            self._tx.run(
                _NOTE,
                scopes=[note.scope for note in notes],
                states=[note.state for note in notes],
                reasons=[note.reason for note in notes],
                now=self._moment,
            )


class DispatchRecords:
    """The store as the dispatcher sees it."""

    def __init__(self, units: Units, lease: timedelta, within: IncarnationId | None) -> None:
        self._units = units
        self._lease = lease
        self._within = within

    @contextmanager
    def round(self, *, wait: bool = True) -> Iterator[Round]:
        """Open a round: the caller is the only tick until it ends.

        Raises `TickBusyError` when another one is at work, for more than 2 s, or without `wait` at all.
        """
        with self._units.begin() as tx:
            moment = tx.lock_tick() if wait else tx.try_lock_tick()
            if moment is not None:
                yield Round(tx, self._lease, self._within, moment)
                return
        raise TickBusyError  # not sooner: a rollback would cost the driver all statements that it has prepared

    @contextmanager
    def look(self) -> Iterator[Round]:
        """Open a round for looking only, as `dispatch plan` does: it locks nothing and is rolled back."""
        with self._units.read() as tx:
            yield Round(tx, self._lease, self._within)

    def mark_published(self, run_ids: Sequence[RunId]) -> Wishes:
        """Note that the bus took these runs' messages, and return what is wished for by now."""
        with self._units.single() as tx:
            (row,) = tx.run(_MARK_PUBLISHED, runs=list(run_ids), now=tx.given)
        return Wishes(counted=row.wanted, settles_follow=row.settles_follow)

    def count_open_runs(self, project_id: ProjectId | None = None) -> int:
        runs = schema.runs
        statement = select(func.count()).where(guard.within(runs.c.state, OPEN_RUN_STATES))
        if project_id is not None:
            statement = statement.where(runs.c.project_id == project_id)
        with self._units.read() as tx:
            return int(tx.connection.execute(statement).scalar_one())

    def read_status(self, scope: str) -> SystemStatus | None:
        with self._units.read() as tx:
            row = tx.connection.execute(select(schema.statuses).where(schema.statuses.c.scope == scope)).one_or_none()
        if row is None:
            return None
        return SystemStatus(state=StatusState(row.state), reason=row.reason, updated_at=row.updated_at)


def _candidate(row: Any, lane: Lane) -> Candidate:
    return Candidate(bead=records.bead(row), lane=lane, timeout=_seconds(row.timeout_seconds))


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)
