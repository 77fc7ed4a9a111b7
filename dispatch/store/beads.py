"""Beads: find, list, explain. Nothing here writes a state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, and_, any_, case, cast, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from dispatch.errors import AmbiguousBeadError, NotFoundError
from dispatch.models.bead import (
    BLOCKS_TYPES,
    DONE_STATUSES,
    NEVER_READY_TYPES,
    PARENT_TYPE,
    READINESS_TYPES,
    WAITS_FOR_TYPE,
    Bead,
    Dependency,
)
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.states import BeadStatus
from dispatch.store import guard, records, schema
from dispatch.store.transaction import Transaction

_BEADS = schema.beads
_EDGES = schema.dependencies


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """What keeps a bead blocked: the edge's type and the bead at its other end."""

    type: str
    id: BeadId
    title: str
    status: str
    issue_type: str = "task"


def find(tx: Transaction, key: BeadKey) -> Bead | None:
    row = tx.connection.execute(select(_BEADS).where(*_is(key))).one_or_none()
    return records.bead(row) if row else None


def get(tx: Transaction, key: BeadKey) -> Bead:
    """Return a bead; raises `NotFoundError`."""
    bead = find(tx, key)
    if bead is None:
        raise NotFoundError(thing="bead", name=str(key), cure="See `dispatch ready --all --project ID`.")
    return bead


def resolve(tx: Transaction, name: str) -> BeadKey:
    """Find the bead that a human means by `id`, where it is unique, or by `project/id`.

    Raises `NotFoundError` and `AmbiguousBeadError`.
    """
    project, _, rest = name.partition("/")
    meant = [_BEADS.c.id == name]
    if rest:
        meant.append(and_(_BEADS.c.project_id == project, _BEADS.c.id == rest))
    statement = select(_BEADS.c.project_id, _BEADS.c.id).where(or_(*meant)).order_by(_BEADS.c.project_id)
    rows = tx.connection.execute(statement).all()
    if not rows:
        raise NotFoundError(thing="bead", name=name, cure="See `dispatch ready --project ID --all`.")
    if len(rows) > 1:
        projects = ", ".join(row.project_id for row in rows)
        raise AmbiguousBeadError(bead_id=name, projects=projects, example=f"{rows[0].project_id}/{rows[0].id}")
    return BeadKey.of(rows[0].project_id, rows[0].id)


def ready(tx: Transaction, project_id: ProjectId, *, as_tracker: bool = False, limit: int | None = None) -> list[Bead]:
    """List what is ready, in dispatch order: priority, then oldest first.

    With `as_tracker`, what bd's rules give: epics, decisions, events, beads for humans and those that cool down are
    listed too.
    """
    statement = select(_BEADS).where(*_is_ready(tx, project_id, as_tracker)).order_by(*DISPATCH_ORDER).limit(limit)
    return [records.bead(row) for row in tx.connection.execute(statement)]


def count_ready(tx: Transaction, project_id: ProjectId) -> int:
    """Count what `ready` lists."""
    statement = select(func.count()).select_from(_BEADS).where(*_is_ready(tx, project_id, as_tracker=False))
    return int(tx.connection.execute(statement).scalar_one())


def _is_ready(tx: Transaction, project_id: ProjectId, as_tracker: bool) -> list[Any]:
    beads = _BEADS
    conditions = [beads.c.project_id == project_id, guard.within(beads.c.status, [BeadStatus.OPEN]), ~beads.c.blocked]
    if not as_tracker:
        return [*conditions, beads.c.dispatchable, may_go(tx)]
    return [
        *conditions,
        ~beads.c.pinned,
        ~beads.c.ephemeral,
        beads.c.issue_type.not_in(sorted(NEVER_READY_TYPES)),
        or_(beads.c.defer_from.is_(None), beads.c.defer_from <= tx.now()),
    ]


DISPATCH_ORDER = (_BEADS.c.priority, _BEADS.c.created_at, _BEADS.c.id)


def may_go(tx: Transaction) -> Any:
    """Return the condition that neither a deferral nor a cooldown holds a bead back now."""
    return or_(_BEADS.c.ready_from.is_(None), _BEADS.c.ready_from <= tx.now())


def blockers(tx: Transaction, key: BeadKey) -> list[Blocker]:
    """Return what a bead waits for directly: open targets of its blocking edges, blocked parents, and targets whose
    children it awaits.
    """
    target = _BEADS.alias("target")
    statement = (
        select(_EDGES.c.type, target.c.id, target.c.title, target.c.status, target.c.issue_type)
        .join(target, and_(target.c.project_id == _EDGES.c.project_id, target.c.id == _EDGES.c.depends_on_id))
        .where(
            _EDGES.c.project_id == key.project_id,
            _EDGES.c.issue_id == key.bead_id,
            or_(
                and_(_EDGES.c.type.in_(sorted(BLOCKS_TYPES)), ~_is_done(target)),
                and_(_EDGES.c.type == PARENT_TYPE, target.c.blocked),
                and_(_EDGES.c.type == WAITS_FOR_TYPE, _awaits_children(target)),
            ),
        )
        .order_by(_EDGES.c.type, target.c.id)
    )
    return [
        Blocker(type=row.type, id=BeadId(row.id), title=row.title, status=row.status, issue_type=row.issue_type)
        for row in tx.connection.execute(statement)
    ]


def _is_done(bead: Any) -> Any:
    return or_(bead.c.pinned, guard.within(bead.c.status, DONE_STATUSES))


def _awaits_children(target: Any) -> Any:
    """Return the condition that a `waits-for` edge to `target` holds its owner back."""
    kin, child = _EDGES.alias("kin"), _BEADS.alias("child")
    children = (
        select(kin.c.issue_id)
        .join(child, and_(child.c.project_id == kin.c.project_id, child.c.id == kin.c.issue_id))
        .where(kin.c.project_id == target.c.project_id, kin.c.depends_on_id == target.c.id, kin.c.type == PARENT_TYPE)
    )
    released = and_(
        _EDGES.c.metadata.contains('"any-children"'),
        children.where(guard.within(child.c.status, [BeadStatus.CLOSED])).exists(),
    )
    return and_(children.where(~_is_done(child)).exists(), ~released)


def dependencies_of(tx: Transaction, key: BeadKey) -> list[Dependency]:
    """Return the edges that a bead owns."""
    statement = (
        select(_EDGES)
        .where(_EDGES.c.project_id == key.project_id, _EDGES.c.issue_id == key.bead_id)
        .order_by(_EDGES.c.type, _EDGES.c.depends_on_id)
    )
    return [_dependency(row) for row in tx.connection.execute(statement)]


def targets_of(tx: Transaction, key: BeadKey) -> list[Bead]:
    """Return the beads that a bead's own edges name, each once, in the order of the edges."""
    ids = list(dict.fromkeys(edge.depends_on_id for edge in dependencies_of(tx, key)))
    statement = select(_BEADS).where(_BEADS.c.project_id == key.project_id, _BEADS.c.id.in_(ids))
    found = {row.id: records.bead(row) for row in tx.connection.execute(statement)} if ids else {}
    return [found[bead_id] for bead_id in ids if bead_id in found]


def dependents_of(tx: Transaction, key: BeadKey) -> list[Dependency]:
    """Return the edges of other beads that name this one."""
    statement = (
        select(_EDGES)
        .where(_EDGES.c.project_id == key.project_id, _EDGES.c.depends_on_id == key.bead_id)
        .order_by(_EDGES.c.type, _EDGES.c.issue_id)
    )
    return [_dependency(row) for row in tx.connection.execute(statement)]


def blocking_edges(tx: Transaction, project_id: ProjectId) -> list[Dependency]:
    """Return all edges of a project that decide about readiness, for looking for cycles."""
    statement = select(_EDGES).where(_EDGES.c.project_id == project_id, _EDGES.c.type.in_(sorted(READINESS_TYPES)))
    return [_dependency(row) for row in tx.connection.execute(statement)]


def done_flags(tx: Transaction, project_id: ProjectId) -> list[tuple[BeadId, bool]]:
    """Return the beads of a project in the order they came, and whether each is done."""
    statement = (
        select(_BEADS.c.id, _is_done(_BEADS).label("done"))
        .where(_BEADS.c.project_id == project_id)
        .order_by(_BEADS.c.seq)
    )
    return [(BeadId(row.id), row.done) for row in tx.connection.execute(statement)]


def _dependency(row: Row[Any]) -> Dependency:
    return Dependency(
        issue_id=BeadId(row.issue_id),
        depends_on_id=BeadId(row.depends_on_id),
        type=row.type,
        metadata=row.metadata,
    )


def many(tx: Transaction, keys: Sequence[BeadKey]) -> dict[BeadKey, Bead]:
    """Return those of the named beads that exist."""
    if not keys:
        return {}
    statement = select(_BEADS).where(tuple_(_BEADS.c.project_id, _BEADS.c.id).in_([tuple(key) for key in keys]))
    beads = [records.bead(row) for row in tx.connection.execute(statement)]
    return {bead.key: bead for bead in beads}


def count_by_status(tx: Transaction, project_id: ProjectId | None = None) -> dict[str, int]:
    """Count beads by status, of one project or of all; blocked open ones count as `blocked`."""
    waiting = and_(guard.within(_BEADS.c.status, [BeadStatus.OPEN]), _BEADS.c.blocked)
    state = case((waiting, BeadStatus.BLOCKED), else_=_BEADS.c.status).label("state")
    statement: Select[Any] = select(state, func.count().label("beads")).group_by(state)
    if project_id is not None:
        statement = statement.where(_BEADS.c.project_id == project_id)
    return {row.state: row.beads for row in tx.connection.execute(statement)}


def taken_ids(tx: Transaction, project_id: ProjectId, ids: Sequence[str]) -> set[str]:
    """Return those of `ids` that the project already uses."""
    statement = select(_BEADS.c.id).where(
        _BEADS.c.project_id == project_id, _BEADS.c.id == any_(cast(literal(list(ids)), ARRAY(Text)))
    )
    return set(tx.connection.execute(statement).scalars())


def _is(key: BeadKey) -> tuple[Any, Any]:
    return _BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id


def row_of(tx: Transaction, key: BeadKey) -> Row[Any] | None:
    """Lock and return the row of a bead."""
    return tx.connection.execute(select(_BEADS).where(*_is(key)).with_for_update()).one_or_none()
