"""What happened: events, actions of agents, and the error history of beads. Rows are added, never changed."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from dispatch.models.event import Event
from dispatch.models.identity import AgentId, BeadKey, RunId
from dispatch.models.run import ActionRecord, ErrorRecord, Run
from dispatch.store import records, schema
from dispatch.store.transaction import Transaction


def add_event(
    tx: Transaction,
    kind: str,
    *,
    bead: BeadKey | None = None,
    project_id: str | None = None,
    run_id: UUID | None = None,
    **data: Any,
) -> None:
    """Write one event in the transaction of the change it tells of."""
    tx.connection.execute(
        insert(schema.events).values(
            at=tx.now(),
            kind=kind,
            project_id=bead.project_id if bead else project_id,
            bead_id=bead.bead_id if bead else None,
            run_id=run_id,
            data=data,
        )
    )


def add_run_event(tx: Transaction, kind: str, run: Run, **data: Any) -> None:
    """Write an event of a run with what a checker of the history needs: attempt, role and agent."""
    agent = str(run.agent_id) if run.agent_id else None
    add_event(tx, kind, bead=run.bead_key, run_id=run.id, attempt=run.attempt, role=run.role, agent=agent, **data)


def add_error(tx: Transaction, run: Run, error: str) -> None:
    """Add an entry to the error history of the run's bead."""
    tx.connection.execute(
        insert(schema.errors).values(
            at=tx.now(),
            project_id=run.project_id,
            bead_id=run.bead_id,
            run_id=run.id,
            error=error,
            dispatch=run.attempt,
        )
    )


def add_actions(tx: Transaction, run_id: RunId, actions: Sequence[ActionRecord]) -> None:
    """Keep a batch of what an agent did."""
    if not actions:
        return
    rows: list[Mapping[str, Any]] = [
        {
            "run_id": run_id,
            "at": action.timestamp,
            "agent_id": action.agent_id,
            "action_type": action.action_type,
            "action_data": action.action_data,
            "result_hash": action.result_hash,
            "progress_key": action.progress_key,
        }
        for action in actions
    ]
    tx.connection.execute(insert(schema.actions), rows)


def errors_of(tx: Transaction, key: BeadKey, *, limit: int | None = None) -> list[ErrorRecord]:
    """Return the error history of a bead, oldest first; the newest `limit` entries when given."""
    errors = schema.errors
    statement = (
        select(errors)
        .where(errors.c.project_id == key.project_id, errors.c.bead_id == key.bead_id)
        .order_by(errors.c.id.desc())
        .limit(limit)
    )
    rows = tx.connection.execute(statement).all()
    return [ErrorRecord(timestamp=row.at, error=row.error, dispatch=row.dispatch) for row in reversed(rows)]


def events_of(tx: Transaction, key: BeadKey) -> list[Event]:
    """Return the history of a bead, oldest first."""
    events = schema.events
    statement = (
        select(events)
        .where(events.c.project_id == key.project_id, events.c.bead_id == key.bead_id)
        .order_by(events.c.id)
    )
    return [records.event(row) for row in tx.connection.execute(statement)]


def actions_of(tx: Transaction, run_id: RunId, *, limit: int = 50) -> list[ActionRecord]:
    """Return the last `limit` actions of a run, oldest first."""
    actions = schema.actions
    statement = select(actions).where(actions.c.run_id == run_id).order_by(actions.c.id.desc()).limit(limit)
    rows = tx.connection.execute(statement).all()
    return [
        ActionRecord(
            timestamp=row.at,
            action_type=row.action_type,
            action_data=row.action_data,
            result_hash=row.result_hash,
            progress_key=row.progress_key,
            agent_id=AgentId(row.agent_id) if row.agent_id else None,
        )
        for row in reversed(rows)
    ]
