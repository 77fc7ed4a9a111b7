"""The pull request of each bead whose work others merge: one row a bead, its last one."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.landing import PullRequest
from dispatch.models.states import BeadStatus
from dispatch.store import guard, history, schema
from dispatch.store.units import Units

_ROWS = schema.pull_requests
_FIELDS = (
    "branch",
    "base",
    "head_sha",
    "pushed_sha",
    "tip_sha",
    "replaced_sha",
    "is_pushed",
    "seen_sha",
    "is_gone",
    "url",
    "command",
    "problem",
    "asked_at",
    "ended",
)


class PullRequestRecords:
    """The store as who opens pull requests sees it."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def find(self, key: BeadKey) -> PullRequest | None:
        """Return the last pull request of a bead."""
        with self._units.read() as tx:
            row = tx.connection.execute(
                select(_ROWS).where(_ROWS.c.project_id == key.project_id, _ROWS.c.bead_id == key.bead_id)
            ).one_or_none()
        return _pull_request(row) if row is not None else None

    def waiting(self, project_id: ProjectId | None = None) -> list[tuple[BeadKey, PullRequest]]:
        """Return the open pull requests of beads that wait to land, of one project or of all."""
        beads = schema.beads
        statement = (
            select(_ROWS)
            .join(beads, (beads.c.project_id == _ROWS.c.project_id) & (beads.c.id == _ROWS.c.bead_id))
            .where(guard.within(beads.c.status, [BeadStatus.LANDING]), _ROWS.c.is_pushed, _ROWS.c.ended == "")
            .order_by(_ROWS.c.changed_at, _ROWS.c.bead_id)
        )
        if project_id is not None:
            statement = statement.where(_ROWS.c.project_id == project_id)
        with self._units.read() as tx:
            rows = tx.connection.execute(statement).all()
        return [(BeadKey.of(row.project_id, row.bead_id), _pull_request(row)) for row in rows]

    def note(self, key: BeadKey, now: PullRequest) -> None:
        """Keep the state of a bead's pull request; what is new of it is told in the bead's history."""
        before = self.find(key)
        values = {name: getattr(now, name) for name in _FIELDS}
        with self._units.begin() as tx:
            stamped = {**values, "changed_at": tx.now()}
            statement = upsert(_ROWS).values(project_id=key.project_id, bead_id=key.bead_id, **stamped)
            tx.connection.execute(
                statement.on_conflict_do_update(index_elements=[_ROWS.c.project_id, _ROWS.c.bead_id], set_=stamped)
            )
            if _is_news(before, now):
                history.add_event(
                    tx,
                    "bead.proposed",
                    bead=key,
                    reason=str(now),
                    branch=now.branch,
                    commit=now.pushed_sha,
                    url=now.url,
                    ended=now.ended,
                )

    def moment(self) -> datetime:
        """Return the time of the database."""
        with self._units.read() as tx:
            return tx.moment()


def _pull_request(row: Row[Any]) -> PullRequest:
    return PullRequest(**{name: getattr(row, name) for name in _FIELDS})


def _is_news(before: PullRequest | None, now: PullRequest) -> bool:
    """Tell whether a human would want to hear of it: it was pushed, where it is was told, or it came to its end."""
    if before is None or not now.is_pushed:
        return now.is_pushed
    told = ("is_pushed", "pushed_sha", "url", "command", "problem", "ended")
    return any(getattr(before, name) != getattr(now, name) for name in told)
