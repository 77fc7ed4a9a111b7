"""Work that waits to land, and the lock that lets one landing at a time into a project."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import or_, select, text, update

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.states import BeadStatus
from dispatch.store import guard, records, schema
from dispatch.store.units import Units

_LANDING_LOCK_SPACE = 0x6C616E64
_BEADS = schema.beads


class LandingRecords:
    """The landing queue of each project, as the lander sees it."""

    def __init__(self, units: Units) -> None:
        self._units = units

    @contextmanager
    def turn(self, number: int) -> Iterator[bool]:
        """Hold a project's landing lock on a session of its own; yields False when another lander has it.

        It is a lock of the session, not of a transaction: tests run while it is held. A lander that dies gives it
        back at once, since its connection ends.
        """
        with self._units.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            parameters = {"space": _LANDING_LOCK_SPACE, "number": number}
            mine = connection.execute(text("SELECT pg_try_advisory_lock(:space, :number)"), parameters).scalar_one()
            try:
                yield mine
            finally:
                if mine:
                    connection.execute(text("SELECT pg_advisory_unlock(:space, :number)"), parameters)

    def next(self, project_id: ProjectId) -> Bead | None:
        """Return the bead whose work is to land next: the one that waits longest by its last run, if any may."""
        runs = schema.runs
        finished = (
            select(runs.c.settled_at)
            .where(runs.c.project_id == _BEADS.c.project_id, runs.c.bead_id == _BEADS.c.id)
            .order_by(runs.c.created_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        with self._units.read() as tx:
            row = tx.connection.execute(
                select(_BEADS)
                .where(
                    _BEADS.c.project_id == project_id,
                    guard.within(_BEADS.c.status, [BeadStatus.LANDING]),
                    or_(_BEADS.c.landing_from.is_(None), _BEADS.c.landing_from <= tx.now()),
                )
                .order_by(finished, _BEADS.c.id)
                .limit(1)
            ).one_or_none()
        return records.bead(row) if row else None

    def postpone(self, key: BeadKey, reason: str, by: timedelta) -> None:
        """Let a bead wait before its landing is tried again, and keep the reason where `dispatch why` finds it."""
        with self._units.begin() as tx:
            tx.connection.execute(
                update(_BEADS)
                .where(
                    _BEADS.c.project_id == key.project_id,
                    _BEADS.c.id == key.bead_id,
                    guard.within(_BEADS.c.status, [BeadStatus.LANDING]),
                )
                .values(landing_from=tx.now() + by, refusal=reason)
            )
