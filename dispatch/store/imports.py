"""Beads come in from a tracker's file and go out again.

The document of a bead is kept as it came. What we change of it is kept beside it (`changes`, and edges marked `ours`),
so that an export gives back what was imported, with nothing but our changes in it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import bindparam, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.importing import BeadRecord, ImportReport, MemoryRecord
from dispatch.models.states import BeadStatus, StepState
from dispatch.models.workflow import Turn
from dispatch.store import decided_elsewhere, graph, guard, history, schema, tracking
from dispatch.store.engine import retrying
from dispatch.store.memories import take_lines
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units

log = structlog.get_logger(__name__)

_BEADS = schema.beads
_EDGES = schema.dependencies
_CHUNK = 1000
_MANY = 100
"""New beads with which what the planner knows of a small table is wrong."""
_ROUTE = ("role_hint", "role_reason", "role_problem", "ready_since", "triaged_from")
"""The columns that say where a bead goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A bead as the export needs it."""

    id: BeadId
    text: str
    changes: dict[str, Any]
    added_edges: tuple[dict[str, Any], ...]
    held: bool
    """A run or a landing holds the bead: the tracker calls that in_progress."""


class ImportRecords:
    """Writes what a tracker's file says, and reads it back."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def import_records(
        self, project_id: ProjectId, records: Sequence[BeadRecord], memories: Sequence[MemoryRecord] = ()
    ) -> ImportReport:
        """Bring a project up to date with a file, in one transaction. Nothing is deleted.

        An import never writes status or assignee while a run or a landing holds the bead, and never reopens a bead
        that we closed (PROTOCOL, rule 14). A record that is older than the stored one is passed over.
        """
        report = retrying(lambda: self._import_records(project_id, records, memories))
        if report.created >= _MANY:
            self._tell_planner()
        return report

    def _tell_planner(self) -> None:
        """Let the database look at what has become another table. It does so by itself, but up to minutes later."""
        try:
            with self._units.single() as tx:
                tx.connection.execute(text("ANALYZE beads, dependencies"))
        except DBAPIError as error:  # the import is done, and this only makes things quicker
            log.warning("the tables were not analyzed after an import", cause=repr(error))

    def _import_records(
        self, project_id: ProjectId, records: Sequence[BeadRecord], memories: Sequence[MemoryRecord]
    ) -> ImportReport:
        report = ImportReport()
        with self._units.begin() as tx:
            tx.lock_project(project_id)
            touched: set[BeadId] = set()
            for start in range(0, len(records), _CHUNK):
                touched |= self._import_chunk(tx, project_id, records[start : start + _CHUNK], report)
            if touched:
                decided_elsewhere.follow_tracker(tx, project_id, records, touched)
                graph.recompute_deferred(tx, project_id, touched)
                graph.recompute_blocked(tx, project_id, touched)
            report.memories = take_lines(tx, project_id, memories)
            if report.created or report.updated or report.memories:
                history.add_event(
                    tx, "project.imported", project_id=project_id, created=report.created, updated=report.updated
                )
        return report

    def _import_chunk(
        self, tx: Transaction, project_id: ProjectId, records: Sequence[BeadRecord], report: ImportReport
    ) -> set[BeadId]:
        """Write a part of the records; return the beads whose readiness may have changed."""
        stored = _stored(tx, project_id, [record.bead.id for record in records])
        moment = tx.moment()
        fresh, changed = [], []
        for record in records:
            row = stored.get(record.bead.id)
            if row is None:
                fresh.append({"project_id": project_id, **_columns(record, moment)})
                report.created += 1
            elif row.document == record.text or json.loads(row.document) == record.document:
                report.unchanged += 1
            elif _is_older(record.bead, row):
                report.older += 1
            else:
                changed.append(_changed_columns(record, row, moment, report))
                report.updated += 1
        if fresh:
            tx.connection.execute(insert(_BEADS), fresh)
        if changed:
            _update(tx, project_id, changed)
        touched = {row["id"] for row in fresh} | {row["b_id"] for row in changed}
        former = _replace_edges(tx, project_id, [record for record in records if record.bead.id in touched])
        return touched | former

    def documents(self, project_id: ProjectId) -> Iterator[StoredDocument]:
        """Yield all beads of a project in the order they came, for export."""
        with self._units.read() as tx:
            added: dict[str, list[dict[str, Any]]] = {}
            edges = select(_EDGES.c.issue_id, _EDGES.c.ours).where(
                _EDGES.c.project_id == project_id, _EDGES.c.ours.is_not(None)
            )
            for edge in tx.connection.execute(edges.order_by(_EDGES.c.depends_on_id)):
                added.setdefault(edge.issue_id, []).append(edge.ours)
            columns = (_BEADS.c.id, _BEADS.c.document, _BEADS.c.changes, _BEADS.c.status)
            open_step = _open_step(project_id).label("held")
            statement = select(*columns, open_step).where(_BEADS.c.project_id == project_id).order_by(_BEADS.c.seq)
            for row in tx.connection.execute(statement):
                yield StoredDocument(
                    id=BeadId(row.id),
                    text=row.document,
                    changes=row.changes,
                    added_edges=tuple(added.get(row.id, ())),
                    held=row.held or row.status == BeadStatus.LANDING,
                )

    def ids(self, project_id: ProjectId) -> list[BeadId]:
        with self._units.read() as tx:
            rows = tx.connection.execute(
                select(_BEADS.c.id).where(_BEADS.c.project_id == project_id).order_by(_BEADS.c.seq)
            )
            return [BeadId(row.id) for row in rows]


def _open_step(project_id: ProjectId) -> Any:
    steps = schema.steps
    return (
        select(steps.c.id)
        .where(
            steps.c.project_id == project_id,
            steps.c.bead_id == _BEADS.c.id,
            guard.within(steps.c.state, [StepState.OPEN]),
        )
        .exists()
    )


def _stored(tx: Transaction, project_id: ProjectId, ids: Sequence[BeadId]) -> dict[str, Any]:
    statement = (
        select(_BEADS, _open_step(project_id).label("held"))
        .where(_BEADS.c.project_id == project_id, _BEADS.c.id.in_(ids))
        .with_for_update(of=_BEADS)
    )
    return {row.id: row for row in tx.connection.execute(statement)}


def _is_older(bead: Bead, row: Any) -> bool:
    return bead.updated_at is not None and row.updated_at is not None and bead.updated_at < row.updated_at


def _columns(record: BeadRecord, moment: Any) -> dict[str, Any]:
    bead = record.bead
    return {
        "id": bead.id,
        "title": bead.title,
        "status": bead.status,
        "priority": bead.priority,
        "issue_type": bead.issue_type,
        "assignee": bead.assignee,
        "labels": list(bead.labels),
        "created_at": bead.created_at or bead.updated_at or moment,
        "updated_at": bead.updated_at,
        "closed_at": bead.closed_at,
        "close_reason": bead.close_reason,
        "defer_until": bead.defer_until,
        "pinned": bead.pinned,
        "ephemeral": bead.ephemeral,
        "document": record.text,
        "changes": {},
        "role_hint": record.role_hint,
        "role_reason": record.role_reason,
        "role_problem": record.role_problem,
        "workflow": record.workflow,
        "turn": Turn.ENGINE if record.workflow else Turn.NONE,
        "ready_since": moment,
        "timeout_seconds": record.timeout.total_seconds() if record.timeout else None,
        "closed_by_us": False,
    }


def _changed_columns(record: BeadRecord, row: Any, moment: Any, report: ImportReport) -> dict[str, Any]:
    """Return the new columns of a stored bead, prefixed for a batch; what is ours stays."""
    columns = _columns(record, moment)
    if record.bead.created_at is None:
        columns["created_at"] = row.created_at
    if row.status == BeadStatus.OPEN and row.dispatchable and row.role_hint == record.role_hint:
        columns["ready_since"] = row.ready_since
    held = row.held or row.status == BeadStatus.LANDING
    ours = held or (row.closed_by_us and record.bead.status != BeadStatus.CLOSED)
    if ours:
        kept = ("status", "assignee", "closed_at", "close_reason", "changes", "closed_by_us")
        columns.update({name: getattr(row, name) for name in kept})
        if record.bead.status != row.status:
            report.kept.append(record.bead.id)
    columns["triaged_from"] = None
    if row.node:
        _keep_at_node(columns, record, row)
    elif row.triaged_from == record.role_hint and not record.bead.is_done:
        _keep_at_triage(columns, record, row, moment)
    return {f"b_{name}": value for name, value in columns.items()}


def _keep_at_node(columns: dict[str, Any], record: BeadRecord, row: Any) -> None:
    """Leave a bead where it is in its workflow; the role that it asks for is that of nodes which name none."""
    columns.update({name: getattr(row, name) for name in ("workflow", "turn", *_ROUTE)})
    columns["triaged_from"] = record.role_hint


def _keep_at_triage(columns: dict[str, Any], record: BeadRecord, row: Any, moment: Any) -> None:
    """Leave a bead at triage whose tracker does not ask for another role, and first unless that says otherwise."""
    columns.update({name: getattr(row, name) for name in _ROUTE})
    told_before = json.loads(row.document).get("priority") == record.document.get("priority")
    if told_before and row.priority != record.bead.priority:
        changes = {"priority": row.priority, "updated_at": tracking.tracker_time(moment)}
        columns.update(priority=row.priority, changes={**columns["changes"], **changes})


def _update(tx: Transaction, project_id: ProjectId, rows: Sequence[dict[str, Any]]) -> None:
    names = [name.removeprefix("b_") for name in rows[0] if name != "b_id"]
    statement = (
        update(_BEADS)
        .where(_BEADS.c.project_id == project_id, _BEADS.c.id == bindparam("b_id"))
        .values({name: bindparam(f"b_{name}") for name in names})
    )
    tx.connection.execute(statement, list(rows))


def _replace_edges(tx: Transaction, project_id: ProjectId, records: Sequence[BeadRecord]) -> set[BeadId]:
    """Make the edges that came from files those of the records; edges of ours stay. Return their former targets."""
    if not records:
        return set()
    removed = tx.connection.execute(
        delete(_EDGES)
        .where(
            _EDGES.c.project_id == project_id,
            _EDGES.c.issue_id.in_([record.bead.id for record in records]),
            _EDGES.c.ours.is_(None),
        )
        .returning(_EDGES.c.depends_on_id)
    )
    former = {BeadId(row.depends_on_id) for row in removed}
    rows = [
        {
            "project_id": project_id,
            "issue_id": edge.issue_id,
            "depends_on_id": edge.depends_on_id,
            "type": edge.type,
            "metadata": edge.metadata,
        }
        for record in records
        for edge in record.dependencies
    ]
    if rows:
        tx.connection.execute(upsert(_EDGES).on_conflict_do_nothing(), rows)
    return former
