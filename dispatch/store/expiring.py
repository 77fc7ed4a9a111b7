"""Reports runs in the place of a worker that cannot do it any more: its lease is over, or it has ended."""

from typing import Any

from sqlalchemy import ColumnElement, select

from dispatch.models.identity import RunId
from dispatch.models.outcome import Cancelled, Lost, TimedOut
from dispatch.models.states import RunEvent, RunState, StopReason
from dispatch.store import guard, history, records, schema
from dispatch.store.transaction import Transaction

_RUNS = schema.runs


def expire(tx: Transaction, *which: ColumnElement[bool], limit: int | None = None) -> list[RunId]:
    """Report running runs: timed out past their deadline, cancelled where a stop was asked, else lost.

    Nothing that their worker may still say of them counts. One that is being written at this moment is left alone.
    """
    over = tx.connection.execute(
        select(_RUNS, (_RUNS.c.deadline_at <= tx.now()).label("late"))
        .where(guard.within(_RUNS.c.state, [RunState.RUNNING]), *which)
        .with_for_update(skip_locked=True)
        .limit(limit)
    ).all()
    for row in over:
        outcome = _outcome_of_lost(row)
        moved = guard.move_one(
            tx.connection,
            _RUNS,
            RunEvent.EXPIRE,
            _RUNS.c.id == row.id,
            values={"outcome": outcome.model_dump(), "reported_at": tx.now(), "token": None},
        )
        if moved is not None:
            history.add_run_event(tx, "run.expired", records.run(moved), outcome=outcome.kind)
    return [RunId(row.id) for row in over]


def _outcome_of_lost(row: Any) -> TimedOut | Cancelled | Lost:
    if row.late or row.stop_reason == StopReason.DEADLINE:
        return TimedOut(limit_seconds=row.timeout_seconds, summary="Its worker no longer answered.")
    if row.stop_reason is not None:
        return Cancelled(cause=row.stop_reason, summary="Its worker no longer answered.")
    return Lost(summary="Its worker died, or could not reach the database, and its lease ended.")
