"""Changes by hand: add a bead, close one, open again what another tracker left in progress."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.bead import Bead, Dependency
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.importing import BeadRecord
from dispatch.models.states import BeadEvent, BeadStatus, RunEvent, RunState, StepState, StopReason
from dispatch.store import beads, effects, graph, guard, history, records, schema
from dispatch.store.engine import retrying
from dispatch.store.settling import withdraw
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units

_BEADS = schema.beads
_RUNS = schema.runs


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
            if beads.taken_ids(tx, project_id, [record.bead.id]):
                raise RefusedError(
                    problem=f"The project {project_id} has a bead {record.bead.id} already",
                    cure="Choose another id, or leave it to dispatch.",
                )
            edges = [*record.dependencies, *(edge for edge, _ in edges_to_it)]
            self._require(tx, project_id, edges, record.bead.id)
            check([*beads.blocking_edges(tx, project_id), *edges])
            moment = tx.moment()
            self._insert(tx, project_id, record, moment)
            for edge in record.dependencies:
                _add_edge(tx, project_id, edge, None)
            for edge, document in edges_to_it:
                _add_edge(tx, project_id, edge, document)
            changed = [record.bead.id, *(edge.issue_id for edge, _ in edges_to_it)]
            graph.recompute_deferred(tx, project_id, changed)
            graph.recompute_blocked(tx, project_id, changed)
            key = BeadKey(project_id, record.bead.id)
            history.add_event(tx, "bead.added", bead=key, title=record.bead.title)
            return beads.get(tx, key)

    def _require(self, tx: Transaction, project_id: ProjectId, edges: Sequence[Dependency], new_id: BeadId) -> None:
        named = {edge.depends_on_id for edge in edges} | {edge.issue_id for edge in edges}
        named.discard(new_id)
        missing = named - beads.taken_ids(tx, project_id, sorted(named))
        if missing:
            raise NotFoundError(
                thing="bead", name=min(missing), cure=f"See `dispatch ready --project {project_id} --all`."
            )

    def _insert(self, tx: Transaction, project_id: ProjectId, record: BeadRecord, moment: Any) -> None:
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
                timeout_seconds=record.timeout.total_seconds() if record.timeout else None,
            )
        )

    def close(self, key: BeadKey, reason: str) -> tuple[BeadId, ...]:
        """Close a bead by hand; return the beads that became unblocked.

        A running agent is asked to stop and a pending run taken back (PROTOCOL, rule 14). Raises `NotFoundError`, and
        `RefusedError` for a bead that is closed already.
        """
        return retrying(lambda: self._close(key, reason))

    def _close(self, key: BeadKey, reason: str) -> tuple[BeadId, ...]:
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            row = beads.row_of(tx, key)
            if row is None:
                raise NotFoundError(thing="bead", name=str(key), cure="See `dispatch ready --all --project ID`.")
            if row.status in (BeadStatus.CLOSED, BeadStatus.TOMBSTONE):
                raise RefusedError(problem=f"{key} is {row.status} already", cure="There is nothing to do.")
            self._stop_runs(tx, key)
            tx.connection.execute(
                _BEADS.update()
                .where(_BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id)
                .values(status=BeadStatus.CLOSED, closed_by_us=True, **effects.closing(row, tx.moment(), reason))
            )
            history.add_event(tx, "bead.closed", bead=key, reason=f"by hand: {reason}" if reason else "by hand")
            turned = graph.recompute_blocked(tx, key.project_id, [key.bead_id])
            return tuple(bead_id for bead_id, blocked in turned.items() if not blocked and bead_id != key.bead_id)

    def _stop_runs(self, tx: Transaction, key: BeadKey) -> None:
        mine = (_RUNS.c.project_id == key.project_id, _RUNS.c.bead_id == key.bead_id)
        for row in tx.connection.execute(
            select(_RUNS).where(*mine, guard.within(_RUNS.c.state, [RunState.PENDING]))
        ).all():
            withdraw(tx, row, "The bead was closed by hand.")
        stopped = guard.move(
            tx.connection,
            _RUNS,
            RunEvent.ASK_TO_STOP,
            *mine,
            _RUNS.c.stop_reason.is_(None),
            values={"stop_reason": StopReason.CLOSED_BY_HAND},
        )
        for row in stopped:
            history.add_run_event(tx, "run.asked_to_stop", records.run(row), reason=StopReason.CLOSED_BY_HAND)

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
            stamp = effects.tracker_time(moment)
            effects.add_changes(tx, key, {"status": BeadStatus.OPEN, "updated_at": stamp}, columns={})
            history.add_event(tx, "bead.adopted", bead=key)
            return True


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


def _add_edge(tx: Transaction, project_id: ProjectId, edge: Dependency, document: dict[str, Any] | None) -> None:
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
