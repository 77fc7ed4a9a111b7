"""Closes a bead by hand: its runs are stopped. The caller holds the project's lock, and brings the graph up to date."""

from typing import Any

from dispatch.models.identity import BeadKey
from dispatch.models.states import BeadStatus, StopReason
from dispatch.store import history, schema, stopping, tracking, workflows
from dispatch.store.transaction import Transaction

_BEADS = schema.beads
_RUNS = schema.runs


def close_bead(tx: Transaction, row: Any, reason: str, *, told: str) -> None:
    """Close the bead of a locked row; `told` is what the history says of it.

    A running agent is asked to stop, and a pending run taken back (PROTOCOL, rule 14).
    """
    key = BeadKey.of(row.project_id, row.id)
    mine = (_RUNS.c.project_id == key.project_id, _RUNS.c.bead_id == key.bead_id)
    stopping.stop_runs(tx, StopReason.CLOSED_BY_HAND, "The bead was closed by hand.", *mine)
    tx.connection.execute(
        _BEADS.update()
        .where(_BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id)
        .values(status=BeadStatus.CLOSED, closed_by_us=True, hold="", **tracking.closing(row, tx.moment(), reason))
    )
    history.add_event(tx, "bead.closed", bead=key, reason=told)
    if row.workflow:
        workflows.end(tx, key, told)
