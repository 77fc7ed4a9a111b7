"""Ends runs from outside: those that have not started are taken back, and running agents are asked to stop."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select

from dispatch.models.identity import IncarnationId
from dispatch.models.run import StoppedRuns
from dispatch.models.states import RunEvent, RunState, StopReason
from dispatch.store import guard, history, records, schema
from dispatch.store.calling import call
from dispatch.store.settling import withdraw
from dispatch.store.transaction import Transaction

_RUNS = schema.runs


def ask_to_stop(tx: Transaction, reason: StopReason, *which: ColumnElement[bool]) -> Sequence[Any]:
    """Ask running runs to stop that nobody asked before; return their rows. The first reason counts."""
    rows = guard.move(
        tx.connection,
        _RUNS,
        RunEvent.ASK_TO_STOP,
        *which,
        _RUNS.c.stop_reason.is_(None),
        values={"stop_reason": reason},
    )
    for row in rows:
        history.add_run_event(tx, "run.asked_to_stop", records.run(row), reason=reason)
    call(tx, {IncarnationId(row.incarnation_id) for row in rows if row.incarnation_id is not None})
    return rows


def stop_runs(tx: Transaction, reason: StopReason, told: str, *which: ColumnElement[bool]) -> StoppedRuns:
    """Take pending runs back, and ask running ones to stop; those that have reported are past it.

    The caller holds the locks of their projects. One that starts meanwhile is found running.
    """
    withdrawn = withdraw_pending(tx, told, *which)
    ask_to_stop(tx, reason, *which)
    return StoppedRuns(withdrawn=withdrawn, running=count_running(tx, *which))


def withdraw_pending(tx: Transaction, told: str, *which: ColumnElement[bool]) -> int:
    """Take back runs that have not started; return how many."""
    pending = tx.connection.execute(select(_RUNS).where(*which, guard.within(_RUNS.c.state, [RunState.PENDING]))).all()
    return sum(withdraw(tx, row, told) for row in pending)


def count_running(tx: Transaction, *which: ColumnElement[bool]) -> int:
    statement = select(func.count()).where(*which, guard.within(_RUNS.c.state, [RunState.RUNNING]))
    return int(tx.connection.execute(statement).scalar_one())
