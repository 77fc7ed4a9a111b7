"""Closes a bead by hand: its runs are stopped. The caller holds the project's lock, and brings the graph up to date."""

from typing import Any

from sqlalchemy import select

from dispatch.models.identity import BeadKey
from dispatch.models.states import BeadStatus, RunEvent, RunState, StopReason
from dispatch.store import guard, history, records, schema, tracking, workflows
from dispatch.store.settling import withdraw
from dispatch.store.transaction import Transaction

_BEADS = schema.beads
_RUNS = schema.runs


def close_bead(tx: Transaction, row: Any, reason: str, *, told: str) -> None:
    """Close the bead of a locked row; `told` is what the history says of it.

    A running agent is asked to stop, and a pending run taken back (PROTOCOL, rule 14).
    """
    key = BeadKey.of(row.project_id, row.id)
    _stop_runs(tx, key)
    tx.connection.execute(
        _BEADS.update()
        .where(_BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id)
        .values(status=BeadStatus.CLOSED, closed_by_us=True, **tracking.closing(row, tx.moment(), reason))
    )
    history.add_event(tx, "bead.closed", bead=key, reason=told)
    if row.workflow:
        workflows.end(tx, key, told)


def _stop_runs(tx: Transaction, key: BeadKey) -> None:
    mine = (_RUNS.c.project_id == key.project_id, _RUNS.c.bead_id == key.bead_id)
    for row in tx.connection.execute(select(_RUNS).where(*mine, guard.within(_RUNS.c.state, [RunState.PENDING]))).all():
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
