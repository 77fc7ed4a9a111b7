"""The roles that beads go to, kept in their rows: found anew when the names of the configuration have changed."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Row, select

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.routing import Route
from dispatch.models.states import BeadStatus
from dispatch.store import history, records, schema
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.written import written

BATCH = 200
"""Beads that are routed anew under one hold of their project's lock."""
_BEADS = schema.beads
_PROJECTS = schema.projects
_OVER = (BeadStatus.CLOSED, BeadStatus.TOMBSTONE)
"""A bead in one of these goes nowhere; when its tracker opens it again, that import routes it."""

_WRITE = written(
    """
UPDATE beads SET role_hint = route.role, role_reason = route.reason, role_problem = route.problem,
    workflow = route.workflow, turn = CASE WHEN route.workflow = '' THEN '' ELSE 'engine' END,
    ready_since = CASE WHEN beads.role_hint = route.role THEN beads.ready_since ELSE :moment END
FROM unnest(CAST(:ids AS text[]), CAST(:roles AS text[]), CAST(:reasons AS text[]), CAST(:problems AS text[]),
            CAST(:workflows AS text[])) AS route(id, role, reason, problem, workflow)
WHERE beads.project_id = :project AND beads.id = route.id
"""
)


DocumentRouting = Callable[[Mapping[str, Any]], Route]
"""Says where the bead of a document goes."""


class RoutingRecords:
    """Where beads go, for all of a project at once."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def routed_by(self, project_id: ProjectId) -> str:
        """Return the fingerprint of the names that a project's beads were last routed by; empty: by none yet."""
        statement = select(_PROJECTS.c.routed_by).where(_PROJECTS.c.id == project_id)
        with self._units.read() as tx:
            return tx.connection.execute(statement).scalar() or ""

    def reroute(self, project_id: ProjectId, fingerprint: str, route: DocumentRouting) -> int:
        """Route each bead of a project that is not closed, and note the names it was done by.

        `route` is given documents as an export would write them. Returns how many beads go elsewhere now. The project
        is locked for a batch at a time: the work goes on between.
        """
        after: BeadId | None = BeadId("")
        moved = 0
        while after is not None:
            start = after
            after, elsewhere = retrying(lambda: self._reroute_batch(project_id, start, route))  # noqa: B023 - called here
            moved += elsewhere
        with self._units.begin() as tx:
            tx.connection.execute(_PROJECTS.update().where(_PROJECTS.c.id == project_id).values(routed_by=fingerprint))
            if moved:
                history.add_event(tx, "project.rerouted", project_id=project_id, moved=moved)
        return moved

    def _reroute_batch(self, project_id: ProjectId, after: BeadId, route: DocumentRouting) -> tuple[BeadId | None, int]:
        """Route the next beads by id; return the last of them, None at the end, and how many go elsewhere."""
        statement = (
            select(_BEADS)
            .where(
                _BEADS.c.project_id == project_id,
                _BEADS.c.id > after,
                _BEADS.c.status.not_in(_OVER),
                _BEADS.c.triaged_from.is_(None),
                _BEADS.c.node == "",
            )
            .order_by(_BEADS.c.id)
            .limit(BATCH)
        )
        with self._units.begin() as tx:
            tx.lock_project(project_id)
            rows = tx.connection.execute(statement).all()
            routes = [(row, route({**records.document(row), **row.changes})) for row in rows]
            _write(tx, project_id, [(row, found) for row, found in routes if _differs(row, found)])
        elsewhere = sum(row.role_hint != found.role for row, found in routes)
        return (BeadId(rows[-1].id) if len(rows) == BATCH else None), elsewhere

    def problems(self, limit: int) -> list[Bead]:
        """Return beads, at most `limit`, that are not closed and whose wish for a role nobody understands."""
        statement = (
            select(_BEADS)
            .where(_BEADS.c.role_problem != "", _BEADS.c.status.not_in(_OVER))
            .order_by(_BEADS.c.project_id, _BEADS.c.id)
            .limit(limit)
        )
        with self._units.read() as tx:
            return [records.bead(row) for row in tx.connection.execute(statement)]


def _differs(row: Row[tuple[object, ...]], route: Route) -> bool:
    known = (row.role_hint, row.role_reason, row.role_problem, row.workflow)
    return known != (route.role, route.reason, route.complaint, route.workflow)


def _write(tx: Transaction, project_id: ProjectId, routes: list[tuple[Row[tuple[object, ...]], Route]]) -> None:
    if routes:
        tx.run(
            _WRITE,
            project=project_id,
            moment=tx.moment(),
            ids=[row.id for row, _ in routes],
            roles=[route.role for _, route in routes],
            reasons=[route.reason for _, route in routes],
            problems=[route.complaint for _, route in routes],
            workflows=[route.workflow for _, route in routes],
        )
