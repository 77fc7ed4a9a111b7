"""What the reading commands show: beads, runs, counts. Nothing here writes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from dispatch.models.bead import Bead, Dependency
from dispatch.models.event import Event
from dispatch.models.identity import BeadId, BeadKey, ProjectId, RunId
from dispatch.models.run import ActionRecord, ErrorRecord, Run
from dispatch.models.states import OPEN_RUN_STATES
from dispatch.store import beads, guard, history, records, schema
from dispatch.store.beads import Blocker
from dispatch.store.units import Units

_RUNS = schema.runs


class ReadingRecords:
    """Answers questions about the present and the past."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def resolve(self, name: str) -> BeadKey:
        """Find the bead a human means by `id` or `project/id`; raises `NotFoundError`, `AmbiguousBeadError`."""
        with self._units.read() as tx:
            return beads.resolve(tx, name)

    def bead(self, key: BeadKey) -> Bead:
        """Return a bead; raises `NotFoundError`."""
        with self._units.read() as tx:
            return beads.get(tx, key)

    def beads(self, keys: Sequence[BeadKey]) -> dict[BeadKey, Bead]:
        """Return those of the named beads that exist."""
        with self._units.read() as tx:
            return beads.many(tx, keys)

    def ready(self, project_id: ProjectId, *, as_tracker: bool = False, limit: int | None = None) -> list[Bead]:
        """List what is ready, in dispatch order; see `beads.ready`."""
        with self._units.read() as tx:
            return beads.ready(tx, project_id, as_tracker=as_tracker, limit=limit)

    def count_ready(self, project_id: ProjectId) -> int:
        """Count what `ready` lists for dispatch."""
        with self._units.read() as tx:
            return beads.count_ready(tx, project_id)

    def blockers(self, key: BeadKey) -> list[Blocker]:
        with self._units.read() as tx:
            return beads.blockers(tx, key)

    def dependencies(self, key: BeadKey) -> list[Dependency]:
        with self._units.read() as tx:
            return beads.dependencies_of(tx, key)

    def dependents(self, key: BeadKey) -> list[Dependency]:
        """Return the edges of other beads that name this one."""
        with self._units.read() as tx:
            return beads.dependents_of(tx, key)

    def graph(self, project_id: ProjectId) -> tuple[list[tuple[BeadId, bool]], list[Dependency]]:
        """Return the beads of a project, each with whether it is done, and the edges that can block."""
        with self._units.read() as tx:
            return beads.done_flags(tx, project_id), beads.blocking_edges(tx, project_id)

    def counts(self, project_id: ProjectId | None = None) -> dict[str, int]:
        """Count beads by status; open ones that are blocked count as `blocked`."""
        with self._units.read() as tx:
            return beads.count_by_status(tx, project_id)

    def errors(self, key: BeadKey) -> list[ErrorRecord]:
        with self._units.read() as tx:
            return history.errors_of(tx, key)

    def events(self, key: BeadKey) -> list[Event]:
        with self._units.read() as tx:
            return history.events_of(tx, key)

    def events_after(self, event_id: int, *, limit: int = 500) -> list[Event]:
        """Return the events of all beads that came after one, oldest first: what a live view follows."""
        events = schema.events
        statement = select(events).where(events.c.id > event_id).order_by(events.c.id).limit(limit)
        with self._units.read() as tx:
            return [records.event(row) for row in tx.connection.execute(statement)]

    def actions(self, run_id: RunId, *, limit: int = 50) -> list[ActionRecord]:
        with self._units.read() as tx:
            return history.actions_of(tx, run_id, limit=limit)

    def runs(
        self,
        *,
        bead: BeadKey | None = None,
        project_id: ProjectId | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> list[Run]:
        """List runs, newest first."""
        conditions: list[Any] = []
        if bead is not None:
            conditions += [_RUNS.c.project_id == bead.project_id, _RUNS.c.bead_id == bead.bead_id]
        if project_id is not None:
            conditions.append(_RUNS.c.project_id == project_id)
        if open_only:
            conditions.append(guard.within(_RUNS.c.state, OPEN_RUN_STATES))
        statement = select(_RUNS).where(*conditions).order_by(_RUNS.c.created_at.desc(), _RUNS.c.id.desc()).limit(limit)
        with self._units.read() as tx:
            return [records.run(row) for row in tx.connection.execute(statement)]

    def tick_age(self) -> timedelta | None:
        """Return how long ago the last tick began; None when there was none yet."""
        with self._units.read() as tx:
            age: timedelta | None = tx.connection.execute(select(tx.now() - schema.ticker.c.last_tick_at)).scalar()
            return age
