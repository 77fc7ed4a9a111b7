"""Changes by hand: add a bead, close one, open again what another tracker left in progress."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.bead import Bead, Dependency
from dispatch.models.decision import DECISION_TYPE
from dispatch.models.identity import BeadId, BeadKey, ProjectId, RunId
from dispatch.models.importing import BeadRecord
from dispatch.models.states import BeadEvent, BeadStatus, StepState
from dispatch.models.workflow import Turn
from dispatch.store import beads, closing, graph, guard, history, records, ruling, schema, tracking
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.written import written

_BEADS = schema.beads
_FOLLOW_UPS = written(
    """
SELECT beads.title FROM dependencies
JOIN beads ON beads.project_id = dependencies.project_id AND beads.id = dependencies.issue_id
WHERE dependencies.project_id = :project AND dependencies.depends_on_id = :bead AND dependencies.type = :type
"""
)


class EditRecords:
    """Writes what a human changes."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def add(
        self,
        project_id: ProjectId,
        record: BeadRecord,
        edges_to_it: Sequence[tuple[Dependency, dict[str, Any]]],
        check: Callable[[list[Dependency]], None],
    ) -> Bead:
        """Add a bead. `edges_to_it` are edges of other beads that name it, with their documents.

        `check` is given the blocking edges as they would be and raises when they make a cycle. Raises `RefusedError`
        when the id is taken, `NotFoundError` for an edge to a bead that is not there.
        """
        return retrying(lambda: self._add(project_id, record, edges_to_it, check))

    def _add(
        self,
        project_id: ProjectId,
        record: BeadRecord,
        edges_to_it: Sequence[tuple[Dependency, dict[str, Any]]],
        check: Callable[[list[Dependency]], None],
    ) -> Bead:
        with self._units.begin() as tx:
            tx.lock_project(project_id)
            return self._add_locked(tx, project_id, record, edges_to_it, check)

    def _add_locked(
        self,
        tx: Transaction,
        project_id: ProjectId,
        record: BeadRecord,
        edges_to_it: Sequence[tuple[Dependency, dict[str, Any]]],
        check: Callable[[list[Dependency]], None],
    ) -> Bead:
        if beads.taken_ids(tx, project_id, [record.bead.id]):
            raise RefusedError(
                problem=f"The project {project_id} has a bead {record.bead.id} already",
                cure="Choose another id, or leave it to dispatch.",
            )
        edges = [*record.dependencies, *(edge for edge, _ in edges_to_it)]
        self._require(tx, project_id, edges, record.bead.id)
        check([*beads.blocking_edges(tx, project_id), *edges])
        moment = tx.moment()
        insert_bead(tx, project_id, record, moment)
        for edge in record.dependencies:
            add_edge(tx, project_id, edge, None)
        for edge, document in edges_to_it:
            add_edge(tx, project_id, edge, document)
        changed = [record.bead.id, *(edge.issue_id for edge, _ in edges_to_it)]
        graph.recompute_deferred(tx, project_id, changed)
        graph.recompute_blocked(tx, project_id, changed)
        key = BeadKey(project_id, record.bead.id)
        history.add_event(tx, "bead.added", bead=key, title=record.bead.title)
        return beads.get(tx, key)

    def add_follow_up(self, origin: BeadKey, record: BeadRecord, run_id: RunId) -> Bead | None:
        """Add a bead that a run on `origin` brought to light, and that names it; None: it did so before.

        It is the same one when its title is, whatever its case and spaces. Raises what `add` does.
        """
        return retrying(lambda: self._add_follow_up(origin, record, run_id))

    def _add_follow_up(self, origin: BeadKey, record: BeadRecord, run_id: RunId) -> Bead | None:
        (edge,) = record.dependencies
        with self._units.begin() as tx:
            tx.lock_project(origin.project_id)
            known = tx.run(_FOLLOW_UPS, project=origin.project_id, bead=origin.bead_id, type=edge.type)
            if _plain(record.bead.title) in {_plain(row.title) for row in known}:
                return None
            bead = self._add_locked(tx, origin.project_id, record, (), lambda edges: None)
            history.add_event(tx, "bead.discovered", bead=origin, run_id=run_id, found=bead.id, title=bead.title)
            return bead

    def _require(self, tx: Transaction, project_id: ProjectId, edges: Sequence[Dependency], new_id: BeadId) -> None:
        named = {edge.depends_on_id for edge in edges} | {edge.issue_id for edge in edges}
        named.discard(new_id)
        missing = named - beads.taken_ids(tx, project_id, sorted(named))
        if missing:
            raise NotFoundError(
                thing="bead", name=min(missing), cure=f"See `dispatch ready --project {project_id} --all`."
            )

    def close(self, key: BeadKey, reason: str, *, by: str = "somebody") -> tuple[BeadId, ...]:
        """Close a bead by hand; return the beads that became unblocked.

        A running agent is asked to stop and a pending run taken back (PROTOCOL, rule 14). A decision is made by it: its
        bead goes on, with the reason as advice, and the history says by whom. Raises `NotFoundError`, and
        `RefusedError` for a bead that is closed already.
        """
        return retrying(lambda: self._close(key, reason, by))

    def _close(self, key: BeadKey, reason: str, by: str) -> tuple[BeadId, ...]:
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            row = beads.row_of(tx, key)
            if row is None:
                raise NotFoundError(thing="bead", name=str(key), cure="See `dispatch ready --all --project ID`.")
            if row.status in (BeadStatus.CLOSED, BeadStatus.TOMBSTONE):
                raise RefusedError(problem=f"{key} is {row.status} already", cure="There is nothing to do.")
            ruled = ruling.rule_by_hand(tx, key, reason, by) if row.issue_type == DECISION_TYPE else None
            if ruled is not None:
                return ruled
            closing.close_bead(tx, row, reason, told=f"by hand: {reason}" if reason else "by hand")
            return ruling.released(tx, key, ruling.end_moot(tx, key, by))

    def orphans(self, project_id: ProjectId | None = None) -> list[Bead]:
        """Return beads that a tracker has in progress though no run of ours holds them."""
        with self._units.read() as tx:
            conditions = [_BEADS.c.project_id == project_id] if project_id is not None else []
            statement = select(_BEADS).where(_orphaned(), *conditions).order_by(*beads.DISPATCH_ORDER)
            return [records.bead(row) for row in tx.connection.execute(statement)]

    def adopt(self, key: BeadKey) -> bool:
        """Open a bead that a tracker has in progress though no run of ours holds it; False when it is no such bead."""
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            row = guard.move_one(
                tx.connection,
                _BEADS,
                BeadEvent.ADOPT,
                _BEADS.c.project_id == key.project_id,
                _BEADS.c.id == key.bead_id,
                _orphaned(),
            )
            if row is None:
                return False
            moment = tx.moment()
            stamp = tracking.tracker_time(moment)
            changes = {"status": BeadStatus.OPEN, "updated_at": stamp}
            tracking.add_changes(tx, key, changes, columns={"ready_since": moment})
            history.add_event(tx, "bead.adopted", bead=key)
            return True


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())


def _orphaned() -> Any:
    steps = schema.steps
    held = (
        select(steps.c.id)
        .where(
            steps.c.project_id == _BEADS.c.project_id,
            steps.c.bead_id == _BEADS.c.id,
            guard.within(steps.c.state, [StepState.OPEN]),
        )
        .exists()
    )
    return guard.within(_BEADS.c.status, [BeadStatus.IN_PROGRESS, BeadStatus.HOOKED]) & ~held


def insert_bead(tx: Transaction, project_id: ProjectId, record: BeadRecord, moment: Any) -> None:
    """Write the row of a new bead, without its edges."""
    bead = record.bead
    tx.connection.execute(
        insert(_BEADS).values(
            project_id=project_id,
            id=bead.id,
            title=bead.title,
            status=bead.status,
            priority=bead.priority,
            issue_type=bead.issue_type,
            assignee=bead.assignee,
            labels=list(bead.labels),
            created_at=bead.created_at or moment,
            updated_at=bead.updated_at or moment,
            defer_until=bead.defer_until,
            document=record.text,
            changes={},
            role_hint=record.role_hint,
            role_reason=record.role_reason,
            role_problem=record.role_problem,
            workflow=record.workflow,
            turn=Turn.ENGINE if record.workflow else Turn.NONE,
            ready_since=moment,
            timeout_seconds=record.timeout.total_seconds() if record.timeout else None,
        )
    )


def add_edge(tx: Transaction, project_id: ProjectId, edge: Dependency, document: dict[str, Any] | None) -> None:
    """Add an edge; `document` is given when its owner's own document does not hold it yet."""
    tx.connection.execute(
        upsert(schema.dependencies)
        .values(
            project_id=project_id,
            issue_id=edge.issue_id,
            depends_on_id=edge.depends_on_id,
            type=edge.type,
            metadata=edge.metadata,
            ours=document,
        )
        .on_conflict_do_nothing()
    )
