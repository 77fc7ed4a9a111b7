"""Projects: add, find, pause."""

from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.store import history, records, schema
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units

_PROJECTS = schema.projects


class ProjectRecords:
    """The projects of a deployment."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def add(self, project_id: ProjectId, path: Path, prefix: str = "") -> Project:
        """Add a project, or return it unchanged when it is there with the same path.

        Raises `RefusedError` when the id stands for another path.
        """
        with self._units.begin() as tx:
            added = tx.connection.execute(
                upsert(_PROJECTS)
                .values(id=project_id, path=str(path), prefix=prefix or project_id, created_at=tx.now())
                .on_conflict_do_nothing()
                .returning(_PROJECTS.c.id)
            ).one_or_none()
            project = records.project(self._row(tx.connection, project_id))
            if project.path != path:
                raise RefusedError(
                    problem=f"The project {project_id!r} is at {project.path} already",
                    cure="Give this one another id with --id.",
                )
            if added is not None:
                history.add_event(tx, "project.added", project_id=project_id, path=str(path))
        return project

    def get(self, project_id: ProjectId) -> Project:
        """Return a project; raises `NotFoundError`."""
        with self._units.read() as tx:
            row = self._row(tx.connection, project_id)
        if row is None:
            raise NotFoundError(
                thing="project", name=project_id, cure="See `dispatch project list`, or add it: `dispatch project add`."
            )
        return records.project(row)

    def all(self) -> list[Project]:
        """Return all projects in the order they were added."""
        with self._units.read() as tx:
            return [
                records.project(row) for row in tx.connection.execute(select(_PROJECTS).order_by(_PROJECTS.c.number))
            ]

    def set_paused(self, project_id: ProjectId, paused: bool, reason: str = "") -> None:
        """Pause a project (nothing of it is dispatched; its pending runs are taken back), or let it go on."""
        with self._units.begin() as tx:
            changed = pause(tx, project_id, paused, reason)
        if not changed:
            self.get(project_id)

    def count(self) -> int:
        with self._units.read() as tx:
            return tx.connection.execute(select(func.count()).select_from(_PROJECTS)).scalar_one()

    def _row(self, connection: Any, project_id: ProjectId) -> Any:
        return connection.execute(select(_PROJECTS).where(_PROJECTS.c.id == project_id)).one_or_none()


def pause(tx: Transaction, project_id: ProjectId, paused: bool, reason: str) -> bool:
    """Pause a project, or let it go on; False when there is none of that id."""
    changed = tx.connection.execute(
        _PROJECTS.update()
        .where(_PROJECTS.c.id == project_id)
        .values(paused=paused, pause_reason=reason if paused else "")
        .returning(_PROJECTS.c.id)
    ).one_or_none()
    if changed is not None:
        history.add_event(tx, "project.paused" if paused else "project.resumed", project_id=project_id, reason=reason)
    return changed is not None
