"""Asking a human: a bead is blocked behind a decision, of which each bead has at most one that is open.

The caller holds the project's lock.
"""

import json
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.escalation import MAX_ADVICE, describe, effect_of, offer
from dispatch.models.bead import MAX_TITLE, Bead
from dispatch.models.decision import (
    DECISION_LABELS,
    DECISION_TYPE,
    ESCALATES_KEY,
    Advice,
    Decision,
    Offer,
    Option,
)
from dispatch.models.identity import BeadId, BeadKey, hash_id
from dispatch.models.settling import Escalation
from dispatch.models.states import BeadStatus
from dispatch.store import beads, graph, history, records, schema, tracking
from dispatch.store.transaction import Transaction

_BEADS = schema.beads
_DECISIONS = schema.decisions
ADVICE_TOLD = 10
"""Decisions of which a run is told."""


def open_decision(tx: Transaction, bead: Bead, escalation: Escalation) -> Decision:
    """Block a bead behind a decision of a human. While one is open for the bead, it is updated instead."""
    offered = offer(escalation, _earlier(tx, bead.key))
    open_id = _open_decision_id(tx, bead.key)
    key = BeadKey(bead.project_id, open_id or _new_id(tx, bead))
    document = _document(tx, key, bead, escalation, offered)
    if open_id is None:
        _add_bead(tx, key, document)
        _add_edge(tx, key, bead, document)
    else:
        _update_bead(tx, key, document)
    _write_row(tx, key, bead, escalation, offered)
    if open_id is None:
        graph.recompute_blocked(tx, bead.project_id, [bead.id, key.bead_id])
    history.add_event(
        tx,
        "bead.escalated",
        bead=bead.key,
        decision=key.bead_id,
        reason=escalation.reason,
        cause=escalation.kind,
        options=list(offered.options),
        recommended=offered.recommended,
    )
    row = row_of(tx, key)
    assert row is not None, "it was written now"
    return records.decision(row, created=open_id is None)


def row_of(tx: Transaction, key: BeadKey) -> Any:
    """Lock and return the row of a decision; None: there is no such decision."""
    statement = select(_DECISIONS).where(_DECISIONS.c.project_id == key.project_id, _DECISIONS.c.id == key.bead_id)
    return tx.connection.execute(statement.with_for_update()).one_or_none()


def open_row_about(tx: Transaction, key: BeadKey) -> Any:
    """Lock and return the row of the open decision about a bead; None: there is none."""
    statement = select(_DECISIONS).where(
        _DECISIONS.c.project_id == key.project_id, _DECISIONS.c.bead_id == key.bead_id, _DECISIONS.c.ruled_at.is_(None)
    )
    return tx.connection.execute(statement.with_for_update()).one_or_none()


def advice_for(tx: Transaction, key: BeadKey) -> list[Advice]:
    """Return what humans told the runs of a bead, the newest last: the last `ADVICE_TOLD`, each cut to a length."""
    statement = (
        select(_DECISIONS)
        .where(
            _DECISIONS.c.project_id == key.project_id,
            _DECISIONS.c.bead_id == key.bead_id,
            _DECISIONS.c.ruled_at.is_not(None),
        )
        .order_by(_DECISIONS.c.ruled_at.desc(), _DECISIONS.c.id.desc())
        .limit(ADVICE_TOLD)
    )
    rows = tx.connection.execute(statement).all()
    given = (_advice(records.decision(row)) for row in reversed(rows))
    return [advice for advice in given if advice is not None]


def _advice(decision: Decision) -> Advice | None:
    assert decision.ruling is not None, "only such rows were asked for"
    assert decision.ruled_at is not None, "it comes with the ruling"
    told = effect_of(decision.ruling).advice
    if not told:
        return None
    asked = decision.question or decision.reason
    return Advice(at=decision.ruled_at, by=decision.ruling.by, asked=asked[:MAX_ADVICE], advice=told[:MAX_ADVICE])


def _earlier(tx: Transaction, key: BeadKey) -> list[Option]:
    """Return what was decided about a bead before, the oldest first."""
    statement = (
        select(_DECISIONS.c.ruling["option"].astext)
        .where(
            _DECISIONS.c.project_id == key.project_id,
            _DECISIONS.c.bead_id == key.bead_id,
            _DECISIONS.c.ruled_at.is_not(None),
        )
        .order_by(_DECISIONS.c.ruled_at)
    )
    return [Option(option) for option in tx.connection.execute(statement).scalars()]


def _open_decision_id(tx: Transaction, key: BeadKey) -> BeadId | None:
    """Return the decision about a bead that still holds it back."""
    row = open_row_about(tx, key)
    return BeadId(row.id) if row is not None else None


def _new_id(tx: Transaction, bead: Bead) -> BeadId:
    """Return an id that the project does not use yet."""
    prefix = tx.connection.execute(
        select(schema.projects.c.prefix).where(schema.projects.c.id == bead.project_id)
    ).scalar_one()
    material = f"decision about {bead.id} {tx.moment().isoformat()}"
    for length in range(4, 13):
        candidate = hash_id(prefix, material, length)
        if not beads.taken_ids(tx, bead.project_id, [candidate]):
            return BeadId(candidate)
    raise AssertionError("nine hashes of growing length were all taken")


def _document(tx: Transaction, key: BeadKey, bead: Bead, escalation: Escalation, offered: Offer) -> dict[str, Any]:
    """Return the tracker's document of a decision; all of it can be read there, also without us."""
    stamp = tracking.tracker_time(tx.moment())
    metadata = {
        ESCALATES_KEY: bead.id,
        "kind": escalation.kind,
        "reason": escalation.reason,
        "returned_to": escalation.returned_to,
    }
    return {
        "id": key.bead_id,
        "title": escalation.title[:MAX_TITLE],
        "description": describe(escalation, offered, key),
        "status": BeadStatus.OPEN,
        "priority": 0,
        "issue_type": DECISION_TYPE,
        "created_at": stamp,
        "updated_at": stamp,
        "labels": list(DECISION_LABELS),
        "metadata": {name: value for name, value in metadata.items() if value is not None},
    }


def _add_bead(tx: Transaction, key: BeadKey, document: dict[str, Any]) -> None:
    tx.connection.execute(
        insert(_BEADS).values(
            project_id=key.project_id,
            id=key.bead_id,
            title=document["title"],
            status=BeadStatus.OPEN,
            priority=0,
            issue_type=DECISION_TYPE,
            labels=document["labels"],
            created_at=tx.now(),
            updated_at=tx.now(),
            document=json.dumps(document),
            changes={},
        )
    )


def _update_bead(tx: Transaction, key: BeadKey, document: dict[str, Any]) -> None:
    """Write a decision's bead anew. What its tracker added to it stays, and when it was made."""
    row = beads.row_of(tx, key)
    assert row is not None, "its decision refers to it"
    known = records.document(row)
    merged = {**known, **document, "created_at": known.get("created_at", document["created_at"])}
    tx.connection.execute(
        update(_BEADS)
        .where(_BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id)
        .values(title=document["title"], document=json.dumps(merged), updated_at=tx.now())
    )


def _add_edge(tx: Transaction, key: BeadKey, bead: Bead, document: dict[str, Any]) -> None:
    edge = {"issue_id": bead.id, "depends_on_id": key.bead_id, "type": "blocks", "created_at": document["created_at"]}
    tx.connection.execute(
        upsert(schema.dependencies)
        .values(project_id=bead.project_id, issue_id=bead.id, depends_on_id=key.bead_id, type="blocks", ours=edge)
        .on_conflict_do_nothing()
    )


def _write_row(tx: Transaction, key: BeadKey, bead: Bead, escalation: Escalation, offered: Offer) -> None:
    values = {
        "kind": escalation.kind,
        "reason": escalation.reason,
        "returned_to": escalation.returned_to,
        "facts": records.decision_facts(escalation),
        "offer": records.offer_facts(offered),
        "announced_at": tx.now(),
    }
    insertion = upsert(_DECISIONS).values(
        project_id=key.project_id, id=key.bead_id, bead_id=bead.id, opened_at=tx.now(), **values
    )
    tx.connection.execute(
        insertion.on_conflict_do_update(index_elements=[_DECISIONS.c.project_id, _DECISIONS.c.id], set_=values)
    )
