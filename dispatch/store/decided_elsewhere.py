"""Decisions that were made, made again or deleted in the tracker: an import brings them. Called in its transaction."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import insert, update

from dispatch.escalation import offer
from dispatch.models.decision import DECISION_TYPE, ESCALATES_KEY, EscalationKind, Option, Ruling
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.importing import BeadRecord
from dispatch.models.settling import Escalation
from dispatch.models.states import BeadStatus
from dispatch.store import asking, beads, history, records, ruling, schema
from dispatch.store.transaction import Transaction

_DECISIONS = schema.decisions
TRACKER = "the tracker"
_OVER = (BeadStatus.CLOSED, BeadStatus.TOMBSTONE)


def follow_tracker(
    tx: Transaction, project_id: ProjectId, imported: Sequence[BeadRecord], touched: Collection[BeadId]
) -> None:
    """Take over what became of decisions in a tracker's file.

    One that was closed there is decided: the bead goes on, with the close reason as advice. One that was deleted is
    over too. One that was opened again asks again, and one that came from elsewhere is known as what it is.
    """
    for record in imported:
        if record.bead.issue_type == DECISION_TYPE and record.bead.id in touched:
            _follow(tx, BeadKey(project_id, record.bead.id))


def _follow(tx: Transaction, key: BeadKey) -> None:
    bead_row, row = beads.row_of(tx, key), asking.row_of(tx, key)
    if bead_row is None:
        return
    over = bead_row.status in _OVER
    row = row if row is not None else _take_in(tx, key, bead_row)
    if row is None:
        return
    if over and row.ruled_at is None:
        ruling.note(tx, key, BeadKey.of(row.project_id, row.bead_id), _ruling(row, bead_row))
    elif not over and row.ruled_at is not None:
        _ask_again(tx, key, row)


def _ruling(row: Any, bead_row: Any) -> Ruling:
    if bead_row.status == BeadStatus.TOMBSTONE:
        return Ruling(option=Option.RETRY, by=TRACKER)
    return ruling.given_by_hand(row, bead_row.close_reason, TRACKER)


def _take_in(tx: Transaction, key: BeadKey, bead_row: Any) -> Any:
    """Write the row of a decision that another deployment made, as far as its bead tells; None: it is none of these."""
    bead = records.bead(bead_row)
    about = bead.metadata.get(ESCALATES_KEY)
    if not isinstance(about, str) or beads.find(tx, BeadKey.of(key.project_id, about)) is None:
        return None
    about_key = BeadKey.of(key.project_id, about)
    if asking.open_row_about(tx, about_key) is not None:
        return None
    escalation = Escalation(
        kind=_kind(bead.metadata.get("kind")),
        reason=_text(bead.metadata.get("reason")) or bead.title,
        title=bead.title,
        body=bead.description,
        returned_to=_text(bead.metadata.get("returned_to")) or None,
    )
    tx.connection.execute(
        insert(_DECISIONS).values(
            project_id=key.project_id,
            id=key.bead_id,
            bead_id=about,
            kind=escalation.kind,
            reason=escalation.reason,
            returned_to=escalation.returned_to,
            facts=records.decision_facts(escalation),
            offer=records.offer_facts(offer(escalation)),
            opened_at=bead_row.created_at,
            announced_at=tx.now(),
        )
    )
    return asking.row_of(tx, key)


def _ask_again(tx: Transaction, key: BeadKey, row: Any) -> None:
    about = BeadKey.of(row.project_id, row.bead_id)
    if asking.open_row_about(tx, about) is not None:
        return
    tx.connection.execute(
        update(_DECISIONS)
        .where(_DECISIONS.c.project_id == key.project_id, _DECISIONS.c.id == key.bead_id)
        .values(ruled_at=None, ruling=None, announced_at=tx.now(), announcements=0)
    )
    history.add_event(tx, "decision.reopened", bead=about, decision=key.bead_id, reason=row.reason)


def _kind(written: object) -> EscalationKind:
    known = [kind for kind in EscalationKind if kind == written]
    return known[0] if known else EscalationKind.RETURNED


def _text(written: object) -> str:
    return written if isinstance(written, str) else ""
