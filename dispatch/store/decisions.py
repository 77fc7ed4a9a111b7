"""Decisions as a human meets them: the inbox, what was decided, and what is announced again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.bead import DONE_STATUSES, READINESS_TYPES, Bead, Dependency
from dispatch.models.decision import (
    ANNOUNCE_AFTER,
    MOST_ANNOUNCEMENTS,
    Decision,
    Dependent,
    InboxEntry,
    Option,
    Ruling,
)
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.importing import BeadRecord
from dispatch.store import asking, beads, edits, guard, history, records, ruling, schema, tracking
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units

_BEADS = schema.beads
_DECISIONS = schema.decisions
_EDGES = schema.dependencies
_BATCH = 200
HOUSEKEEPING = "housekeeping"


class DecisionRecords:
    """What waits for a human, and what he decides."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def find(self, name: str) -> Decision:
        """Find the decision that a human means by its own id, or by that of the bead it is about.

        Of a bead it is the open one, else the last that was made. Raises `NotFoundError`, `AmbiguousBeadError`, and
        `RefusedError` for a bead that waits for none.
        """
        with self._units.read() as tx:
            key = beads.resolve(tx, name)
            mine = [_DECISIONS.c.project_id == key.project_id]
            newest = select(_DECISIONS).order_by(
                _DECISIONS.c.ruled_at.desc().nulls_first(), _DECISIONS.c.opened_at.desc(), _DECISIONS.c.id
            )
            for column in (_DECISIONS.c.id, _DECISIONS.c.bead_id):
                row = tx.connection.execute(newest.where(*mine, column == key.bead_id).limit(1)).one_or_none()
                if row is not None:
                    return records.decision(row)
        raise RefusedError(problem=f"{key} waits for no decision", cure="See `dispatch inbox`.")

    def open_about(self, key: BeadKey) -> Decision | None:
        """Return the decision that a bead waits for; None: there is none."""
        with self._units.read() as tx:
            row = asking.open_row_about(tx, key)
        return records.decision(row) if row is not None else None

    def inbox(self, project_id: ProjectId | None = None) -> list[InboxEntry]:
        """Return the open decisions, of one project or of all, in no particular order."""
        mine = [_DECISIONS.c.project_id == project_id] if project_id is not None else []
        return self._entries(_is_open(), *mine)

    def entry(self, key: BeadKey) -> InboxEntry:
        """Return one decision, open or not; raises `NotFoundError`."""
        found = self._entries(_DECISIONS.c.project_id == key.project_id, _DECISIONS.c.id == key.bead_id)
        if not found:
            raise NotFoundError(thing="decision", name=str(key), cure="See `dispatch inbox`.")
        return found[0]

    def counts(self, project_id: ProjectId | None = None) -> tuple[int, int]:
        """Count the open decisions, and those of them that are overdue."""
        late = func.count().filter(_DECISIONS.c.opened_at <= self._units.clock.now() - ANNOUNCE_AFTER)
        statement = select(func.count(), late).select_from(_joined()).where(_is_open())
        if project_id is not None:
            statement = statement.where(_DECISIONS.c.project_id == project_id)
        with self._units.read() as tx:
            open_, overdue = tx.connection.execute(statement).one()
        return open_, overdue

    def decide(
        self, key: BeadKey, given: Ruling, parts: Sequence[BeadRecord] = ()
    ) -> tuple[Decision, tuple[BeadId, ...]]:
        """Make a decision, in one transaction; return it, and the beads that are no longer blocked.

        `parts` are the beads that a split makes. Raises `NotFoundError`, and `RefusedError` when it was made before,
        when the bead is done, or when the id of a part is taken.
        """
        return retrying(lambda: self._decide(key, given, parts))

    def _decide(self, key: BeadKey, given: Ruling, parts: Sequence[BeadRecord]) -> tuple[Decision, tuple[BeadId, ...]]:
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            row = asking.row_of(tx, key)
            if row is None:
                raise NotFoundError(thing="decision", name=str(key), cure="See `dispatch inbox`.")
            decision = records.decision(row)
            refuse_twice(decision)
            bead = beads.get(tx, decision.bead_key)
            if bead.is_done:
                raise RefusedError(
                    problem=f"{bead.key} is {bead.status} already, so there is nothing to decide",
                    cure=f"`dispatch close {key}` ends the decision.",
                )
            if given.option is Option.SPLIT:
                _add_parts(tx, bead, parts)
            freed = ruling.rule(tx, row, given, close_reason=str(given))
            return records.decision(asking.row_of(tx, key)), freed

    def due_announcements(self) -> list[Decision]:
        """Return the open decisions that are to be announced again now."""
        with self._units.read() as tx:
            rows = tx.connection.execute(
                select(_DECISIONS)
                .select_from(_joined())
                .where(_is_open(), _is_due(tx))
                .order_by(_DECISIONS.c.opened_at, _DECISIONS.c.id)
                .limit(_BATCH)
            )
            return [records.decision(row) for row in rows]

    def announce(self) -> list[Decision]:
        """Announce again what waited too long, each in the history of its bead; return those that were."""
        announced = []
        for due in self.due_announcements():
            decision = retrying(lambda: self._announce(due.key))  # noqa: B023 - called here
            if decision is not None:
                announced.append(decision)
        return announced

    def _announce(self, key: BeadKey) -> Decision | None:
        with self._units.begin() as tx:
            row = tx.connection.execute(
                update(_DECISIONS)
                .where(
                    _DECISIONS.c.project_id == key.project_id,
                    _DECISIONS.c.id == key.bead_id,
                    _DECISIONS.c.ruled_at.is_(None),
                    _is_due(tx),
                )
                .values(announced_at=tx.now(), announcements=_DECISIONS.c.announcements + 1)
                .returning(*_DECISIONS.c)
            ).one_or_none()
            if row is None:
                return None
            decision = records.decision(row)
            history.add_event(
                tx,
                "decision.open",
                bead=decision.bead_key,
                decision=key.bead_id,
                reason=decision.reason,
                announcement=decision.announcements,
                opened_at=tracking.tracker_time(decision.opened_at),
            )
            return decision

    def end_moot(self) -> list[BeadKey]:
        """End open decisions about beads that were done meanwhile; return those beads."""
        statement = (
            select(_DECISIONS.c.project_id, _DECISIONS.c.bead_id)
            .select_from(_joined())
            .where(_DECISIONS.c.ruled_at.is_(None), _is_done())
            .limit(_BATCH)
        )
        with self._units.read() as tx:
            keys = [BeadKey.of(row.project_id, row.bead_id) for row in tx.connection.execute(statement)]
        return [key for key in keys if retrying(lambda: self._end_moot(key))]  # noqa: B023 - called here

    def _end_moot(self, key: BeadKey) -> bool:
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            done = beads.get(tx, key).is_done
            if done:
                ruling.released(tx, key, ruling.end_moot(tx, key, HOUSEKEEPING))
            return done

    def _entries(self, *conditions: ColumnElement[bool]) -> list[InboxEntry]:
        with self._units.read() as tx:
            rows = tx.connection.execute(
                select(
                    _DECISIONS,
                    *(_BEADS.c[name].label(f"bead_{name}") for name in ("title", "priority", "status", "hops")),
                    _BEADS.c.role_hint.label("bead_role"),
                    tx.now().label("moment"),
                )
                .select_from(_joined())
                .where(*conditions)
            ).all()
            waiting = _dependents(tx, [BeadKey.of(row.project_id, row.bead_id) for row in rows])
        return [_entry(row, waiting.get(BeadKey.of(row.project_id, row.bead_id), ())) for row in rows]


def _joined() -> Any:
    about = (_BEADS.c.project_id == _DECISIONS.c.project_id) & (_BEADS.c.id == _DECISIONS.c.bead_id)
    return _DECISIONS.join(_BEADS, about)


def _is_done() -> ColumnElement[bool]:
    done: ColumnElement[bool] = _BEADS.c.pinned | guard.within(_BEADS.c.status, DONE_STATUSES)
    return done


def _is_open() -> ColumnElement[bool]:
    """Return the condition that a human has something to decide."""
    return _DECISIONS.c.ruled_at.is_(None) & ~_is_done()


def _is_due(tx: Transaction) -> ColumnElement[bool]:
    waited: ColumnElement[bool] = _DECISIONS.c.announced_at <= tx.now() - ANNOUNCE_AFTER
    return waited & (_DECISIONS.c.announcements < MOST_ANNOUNCEMENTS)


def _entry(row: Any, dependents: Sequence[Dependent]) -> InboxEntry:
    decision = records.decision(row)
    until: datetime = decision.ruled_at or row.moment
    return InboxEntry(
        decision=decision,
        title=row.bead_title,
        priority=row.bead_priority,
        status=row.bead_status,
        role=row.bead_role,
        hops=row.bead_hops,
        waiting=until - decision.opened_at,
        dependents=tuple(dependents),
    )


def _dependents(tx: Transaction, keys: Sequence[BeadKey]) -> dict[BeadKey, list[Dependent]]:
    """Return for each bead the beads that are not done and wait for it."""
    found: dict[BeadKey, list[Dependent]] = {}
    for project_id in {key.project_id for key in keys}:
        mine = [key.bead_id for key in keys if key.project_id == project_id]
        statement = (
            select(_EDGES.c.depends_on_id, _BEADS.c.id, _BEADS.c.title)
            .join(_BEADS, (_BEADS.c.project_id == _EDGES.c.project_id) & (_BEADS.c.id == _EDGES.c.issue_id))
            .where(
                _EDGES.c.project_id == project_id,
                _EDGES.c.depends_on_id.in_(mine),
                _EDGES.c.type.in_(sorted(READINESS_TYPES)),
                ~_is_done(),
            )
            .distinct()
            .order_by(_BEADS.c.id)
        )
        for row in tx.connection.execute(statement):
            dependents = found.setdefault(BeadKey.of(project_id, row.depends_on_id), [])
            dependents.append(Dependent(id=BeadId(row.id), title=row.title))
    return found


def refuse_twice(decision: Decision) -> None:
    """Raise `RefusedError` for a decision that was made, saying which, by whom and when."""
    if decision.ruling is None or decision.ruled_at is None:
        return
    when = decision.ruled_at.strftime("%Y-%m-%d %H:%M:%SZ")
    raise RefusedError(
        problem=f"{decision.key} was decided by {decision.ruling.by} at {when}: {str(decision.ruling).rstrip('.')}",
        cure=f"`dispatch inbox {decision.key}` shows it.",
    )


def _add_parts(tx: Transaction, bead: Bead, parts: Sequence[BeadRecord]) -> None:
    """Add the beads of a split, for which the bead then waits."""
    taken = beads.taken_ids(tx, bead.project_id, [part.bead.id for part in parts])
    if taken:
        raise RefusedError(problem=f"The id {min(taken)} was taken meanwhile", cure="Say it again.")
    moment = tx.moment()
    for part in parts:
        edits.insert_bead(tx, bead.project_id, part, moment)
        for edge in part.dependencies:
            edits.add_edge(tx, bead.project_id, edge, None)
        document = {
            "issue_id": bead.id,
            "depends_on_id": part.bead.id,
            "type": "blocks",
            "created_at": tracking.tracker_time(moment),
        }
        edits.add_edge(tx, bead.project_id, Dependency(issue_id=bead.id, depends_on_id=part.bead.id), document)
        history.add_event(tx, "bead.added", bead=BeadKey(bead.project_id, part.bead.id), title=part.bead.title)
