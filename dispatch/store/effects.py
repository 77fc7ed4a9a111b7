"""Applies the end of a step, or of a landing, to its bead: one guarded move and what belongs to it.

The caller holds the project's lock and the bead's row.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.models.bead import BLOCKS_TYPES, Bead
from dispatch.models.identity import BeadId, BeadKey, ProjectId, hash_id
from dispatch.models.run import Run
from dispatch.models.settling import BeadEffect, Decision, Escalation
from dispatch.models.states import BEAD_MOVES, BeadEvent, BeadStatus, StepEvent
from dispatch.store import beads, graph, guard, history, schema
from dispatch.store.transaction import Transaction

_BEADS = schema.beads


def apply_effect(tx: Transaction, bead: Bead, effect: BeadEffect, run: Run | None) -> tuple[BeadId, ...]:
    """Move the bead as decided; return the beads that are no longer blocked. A bead that somebody moved stays."""
    if effect.error is not None and run is not None:
        history.add_error(tx, run, effect.error)
    closes = BEAD_MOVES[effect.event].target == BeadStatus.CLOSED
    moved = guard.move_one(
        tx.connection,
        _BEADS,
        effect.event,
        _BEADS.c.project_id == bead.project_id,
        _BEADS.c.id == bead.id,
        values=_columns(tx, effect, closes),
    )
    run_id = run.id if run else None
    if moved is None:
        history.add_event(tx, "bead.kept", bead=bead.key, run_id=run_id, status=bead.status, wanted=effect.event)
        return ()
    if closes:
        record_closing(tx, bead.key, effect.close_reason)
    kind = "bead.closed" if closes else f"bead.{BEAD_MOVES[effect.event].target}"
    history.add_event(
        tx, kind, bead=bead.key, run_id=run_id, reason=effect.reason, head_sha=effect.head_sha, failures=effect.failures
    )
    if effect.escalation is not None:
        open_decision(tx, bead, effect.escalation)
    if not closes:
        return ()
    turned = graph.recompute_blocked(tx, bead.project_id, [bead.id])
    return tuple(bead_id for bead_id, blocked in turned.items() if not blocked and bead_id != bead.id)


def _columns(tx: Transaction, effect: BeadEffect, closes: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "hops": _BEADS.c.hops + effect.hops,
        "failures": effect.failures,
        "cooldown_until": tx.now() + effect.cooldown if effect.cooldown else None,
    }
    if effect.head_sha is not None:
        values["head_sha"] = effect.head_sha
    if effect.event is BeadEvent.AWAIT_LANDING:
        values["landing_from"] = None
    if closes:
        values["closed_by_us"] = True
    return values


def record_closing(tx: Transaction, key: BeadKey, reason: str) -> None:
    """Write what closing a bead writes: `closed_at`, `close_reason`, `updated_at`, and nothing else."""
    moment = tx.moment()
    stamp = tracker_time(moment)
    add_changes(
        tx,
        key,
        {"status": BeadStatus.CLOSED, "closed_at": stamp, "close_reason": reason or None, "updated_at": stamp},
        columns={"closed_at": moment, "close_reason": reason},
    )


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


def join_step(tx: Transaction, step_id: Any) -> bool:
    """Close a step; False when it was closed already."""
    joined = guard.move_one(
        tx.connection, schema.steps, StepEvent.JOIN, schema.steps.c.id == step_id, values={"joined_at": tx.now()}
    )
    return joined is not None


def open_decision(tx: Transaction, bead: Bead, escalation: Escalation) -> Decision:
    """Block a bead behind a decision of a human. While one is open for the bead, it is updated instead."""
    document = _decision_document(tx, bead, escalation)
    open_id = _open_decision_id(tx, bead.key)
    decision_id = open_id or _new_decision_id(tx, bead)
    document["id"] = decision_id
    values = {
        "title": document["title"],
        "document": json.dumps(document),
        "changes": {},
        "updated_at": tx.now(),
    }
    if open_id is not None:
        tx.connection.execute(
            update(_BEADS).where(_BEADS.c.project_id == bead.project_id, _BEADS.c.id == open_id).values(values)
        )
    else:
        tx.connection.execute(
            insert(_BEADS).values(
                project_id=bead.project_id,
                id=decision_id,
                status=BeadStatus.OPEN,
                priority=0,
                issue_type="decision",
                labels=document["labels"],
                created_at=tx.now(),
                **values,
            )
        )
        edge = {
            "issue_id": bead.id,
            "depends_on_id": decision_id,
            "type": "blocks",
            "created_at": document["created_at"],
        }
        tx.connection.execute(
            upsert(schema.dependencies)
            .values(project_id=bead.project_id, issue_id=bead.id, depends_on_id=decision_id, type="blocks", ours=edge)
            .on_conflict_do_nothing()
        )
        graph.recompute_blocked(tx, bead.project_id, [bead.id, decision_id])
    history.add_event(tx, "bead.escalated", bead=bead.key, decision=decision_id, reason=escalation.reason)
    return Decision(
        project_id=bead.project_id,
        decision_id=decision_id,
        bead_id=bead.id,
        reason=escalation.reason,
        returned_to=escalation.returned_to,
        created=open_id is None,
    )


def _decision_document(tx: Transaction, bead: Bead, escalation: Escalation) -> dict[str, Any]:
    stamp = tracker_time(tx.moment())
    metadata = {"escalates": bead.id, "reason": escalation.reason, "returned_to": escalation.returned_to}
    return {
        "id": "",
        "title": escalation.title[:500],
        "description": escalation.body,
        "status": BeadStatus.OPEN,
        "priority": 0,
        "issue_type": "decision",
        "created_at": stamp,
        "updated_at": stamp,
        "labels": ["ceo-review", "escalation", "human"],
        "metadata": {key: value for key, value in metadata.items() if value is not None},
    }


def _open_decision_id(tx: Transaction, key: BeadKey) -> BeadId | None:
    edges = schema.dependencies
    statement = (
        select(_BEADS.c.id)
        .join(edges, (edges.c.project_id == _BEADS.c.project_id) & (edges.c.depends_on_id == _BEADS.c.id))
        .where(
            edges.c.project_id == key.project_id,
            edges.c.issue_id == key.bead_id,
            edges.c.type.in_(sorted(BLOCKS_TYPES)),
            edges.c.ours.is_not(None),
            _BEADS.c.issue_type == "decision",
            _BEADS.c.status == BeadStatus.OPEN,
        )
        .order_by(_BEADS.c.id)
        .limit(1)
    )
    found = tx.connection.execute(statement).scalar()
    return BeadId(found) if found is not None else None


def _new_decision_id(tx: Transaction, bead: Bead) -> BeadId:
    project = tx.connection.execute(
        select(schema.projects.c.prefix).where(schema.projects.c.id == bead.project_id)
    ).scalar_one()
    return new_id(tx, bead.project_id, project, f"decision about {bead.id}")


def new_id(tx: Transaction, project_id: ProjectId, prefix: str, material: str) -> BeadId:
    """Return an id that the project does not use yet."""
    moment = tx.moment()
    for length in range(4, 13):
        candidate = hash_id(prefix, f"{material} {moment.isoformat()}", length)
        if not beads.taken_ids(tx, project_id, [candidate]):
            return BeadId(candidate)
    raise AssertionError("nine hashes of growing length were all taken")


def settled_runs(tx: Transaction, step_id: Any) -> Sequence[Any]:
    """Return the rows of a step's runs that ended with an outcome, in their order."""
    runs = schema.runs
    return tx.connection.execute(
        select(runs).where(runs.c.step_id == step_id, runs.c.outcome.is_not(None)).order_by(runs.c.position)
    ).all()


def tracker_time(moment: datetime) -> str:
    """Write a moment as the tracker's documents have it: UTC, with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
