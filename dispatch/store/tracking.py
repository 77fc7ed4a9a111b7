"""What we change of a bead's document, as its tracker would write it. The document itself stays as it came."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import update

from dispatch.models.identity import BeadKey
from dispatch.models.states import BeadStatus
from dispatch.store import beads, schema
from dispatch.store.transaction import Transaction

_BEADS = schema.beads


def closing(row: Any, moment: datetime, reason: str) -> dict[str, Any]:
    """Return what closing a bead writes: `closed_at`, `close_reason`, `updated_at`, and nothing else of its document.

    `row` is the bead's, locked.
    """
    stamp = tracker_time(moment)
    changes = {"status": BeadStatus.CLOSED, "closed_at": stamp, "close_reason": reason or None, "updated_at": stamp}
    return {"closed_at": moment, "close_reason": reason, "changes": {**row.changes, **changes}}


def add_changes(tx: Transaction, key: BeadKey, changes: dict[str, Any], *, columns: dict[str, Any]) -> None:
    """Remember which fields of the tracker's document we changed, for export, and write their columns."""
    row = beads.row_of(tx, key)
    if row is None:
        return
    tx.connection.execute(
        update(_BEADS)
        .where(_BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id)
        .values(changes={**row.changes, **changes}, **columns)
    )


def tracker_time(moment: datetime) -> str:
    """Write a moment as the tracker's documents have it: UTC, with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
