"""The conversations of beads: one each. Whoever runs the bead goes on with it, and writes it under his run's token."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from dispatch.models.identity import BeadKey, RunId
from dispatch.models.session import Session, Turn
from dispatch.store import schema
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.written import NOW, written

_SESSIONS = schema.sessions
# The bead is held before the run (PROTOCOL, rule 4): its row is what a new conversation refers to.
_SAVE = written(
    f"""
WITH held AS MATERIALIZED (
    SELECT beads.project_id, beads.id
    FROM beads JOIN runs ON runs.project_id = beads.project_id AND runs.bead_id = beads.id
    WHERE runs.id = :run
    FOR KEY SHARE OF beads
),
due AS (
    SELECT runs.project_id, runs.bead_id, {NOW} AS moment
    FROM runs JOIN held ON held.project_id = runs.project_id AND held.id = runs.bead_id
    WHERE runs.id = :run AND runs.token = :token AND runs.writes_branch
    FOR SHARE OF runs
)
INSERT INTO sessions (
    project_id, bead_id, runner, role, external_id, host, turns, started_at, updated_at, expires_at
)
SELECT project_id, bead_id, :runner, :role, :external, :host, CAST(:turns AS jsonb), moment, moment,
       moment + CAST(:lifetime AS interval)
FROM due
ON CONFLICT (project_id, bead_id) DO UPDATE SET
    runner = excluded.runner, role = excluded.role, external_id = excluded.external_id, host = excluded.host,
    turns = excluded.turns, updated_at = excluded.updated_at, expires_at = excluded.expires_at,
    started_at = CASE WHEN sessions.expires_at <= excluded.updated_at
        THEN excluded.started_at ELSE sessions.started_at END
RETURNING bead_id
"""
)


class SessionRecords:
    """Keeps the conversations of beads."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def save(self, run_id: RunId, token: UUID, session: Session, lifetime: timedelta) -> bool:
        """Keep a bead's conversation as its run tells it; it ends `lifetime` after the last such write.

        False when the run is not this worker's any more, or is one that only looks at the work of others: then the
        conversation is that of another run, and stays as it is.
        """
        with self._units.single() as tx:
            taken = tx.run_one(
                _SAVE,
                run=run_id,
                token=token,
                runner=session.runner,
                role=session.role,
                external=session.external_id,
                host=session.host,
                turns=_as_json(session.turns),
                lifetime=lifetime,
                now=tx.given,
            )
        return taken is not None

    def find(self, key: BeadKey) -> Session | None:
        """Return the conversation of a bead; None when it has none, or that is over."""
        with self._units.read() as tx:
            return of_bead(tx, key)

    def delete_expired(self) -> int:
        """Delete the conversations that are over; return how many."""
        with self._units.begin() as tx:
            return tx.connection.execute(delete(_SESSIONS).where(_SESSIONS.c.expires_at <= tx.now())).rowcount


def of_bead(tx: Transaction, key: BeadKey) -> Session | None:
    """Return the conversation of a bead; None when it has none, or that is over."""
    row = tx.connection.execute(
        select(_SESSIONS).where(
            _SESSIONS.c.project_id == key.project_id,
            _SESSIONS.c.bead_id == key.bead_id,
            _SESSIONS.c.expires_at > tx.now(),
        )
    ).one_or_none()
    return _session(row) if row is not None else None


def _session(row: Any) -> Session:
    return Session(
        runner=row.runner,
        role=row.role,
        external_id=row.external_id,
        host=row.host,
        turns=tuple(Turn.model_validate(turn) for turn in row.turns),
        started_at=row.started_at,
        updated_at=row.updated_at,
    )


def _as_json(turns: Sequence[Turn]) -> str:
    return "[" + ",".join(turn.model_dump_json(exclude_defaults=True) for turn in turns) + "]"
