"""Applies the end of a step, or of a landing, to its bead: one guarded move and what belongs to it.

The caller holds the project's lock and the bead's row.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Json, Jsonb
from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.models.bead import BLOCKS_TYPES, Bead
from dispatch.models.identity import BeadId, BeadKey, ProjectId, hash_id
from dispatch.models.run import Run
from dispatch.models.settling import BeadEffect, Decision, Escalation
from dispatch.models.states import BEAD_MOVES, BeadEvent, BeadStatus, StepEvent
from dispatch.store import beads, graph, guard, history, records, schema
from dispatch.store.transaction import Transaction
from dispatch.store.written import NOW, written

_BEADS = schema.beads
_MOVE = written(
    """
WITH moved AS (
    UPDATE beads SET status = :target, hops = hops + :hops, failures = :failures, cooldown_until = :cooldown_until,
        head_sha = COALESCE(:head_sha, head_sha),
        landing_from = CASE WHEN :to_land THEN NULL ELSE landing_from END,
        closed_by_us = closed_by_us OR :closes,
        closed_at = COALESCE(:closed_at, closed_at),
        close_reason = COALESCE(:close_reason, close_reason),
        changes = COALESCE(:changes, changes)
    WHERE project_id = :project AND id = :bead AND status = ANY (:sources)
    RETURNING project_id, id
),
wished AS (
    UPDATE ticker SET wanted = wanted + 1
)
INSERT INTO events (at, kind, project_id, bead_id, run_id, data)
SELECT :at, :kind, project_id, id, CAST(:run AS uuid), :told FROM moved
RETURNING id
"""
)
_LOCK_BEAD = written(
    f"""
SELECT beads.*, {NOW} AS moment, EXISTS (
    SELECT FROM dependencies WHERE project_id = :project AND (issue_id = :bead OR depends_on_id = :bead)
) AS has_edges
FROM beads WHERE project_id = :project AND id = :bead
FOR UPDATE OF beads
"""
)


def lock_bead(tx: Transaction, key: BeadKey) -> Any:
    """Lock and return the row of a bead, with the `moment` and whether it `has_edges`; None: there is no such bead."""
    return tx.run_one(_LOCK_BEAD, project=key.project_id, bead=key.bead_id, now=tx.given)


def apply_effect(tx: Transaction, row: Any, effect: BeadEffect, run: Run | None) -> tuple[BeadId, ...]:
    """Move the bead of a row that `lock_bead` gave as decided; return the beads that are no longer blocked.

    A bead that somebody moved stays as it is.
    """
    bead = records.bead(row)
    if effect.error is not None and run is not None:
        history.add_error(tx, run, effect.error)
    closes = BEAD_MOVES[effect.event].target == BeadStatus.CLOSED
    if not _move(tx, row, effect, run, closes):
        history.add_event(
            tx, "bead.kept", bead=bead.key, run_id=run.id if run else None, status=bead.status, wanted=effect.event
        )
        return ()
    if effect.escalation is not None:
        open_decision(tx, bead, effect.escalation)
    if not closes or not (row.has_edges or row.blocked):
        return ()
    turned = graph.recompute_blocked(tx, bead.project_id, [bead.id])
    return tuple(bead_id for bead_id, blocked in turned.items() if not blocked and bead_id != bead.id)


def _move(tx: Transaction, row: Any, effect: BeadEffect, run: Run | None, closes: bool) -> bool:
    """Make the guarded move, tell of it and count the wish for a tick; False when the bead may not make it."""
    sources, target = guard.allowed(_BEADS, effect.event)
    written_too = closing(row, row.moment, effect.close_reason) if closes else {}
    told = {"move": effect.event, "reason": effect.reason, "head_sha": effect.head_sha, "failures": effect.failures}
    moved = tx.run(
        _MOVE,
        project=row.project_id,
        bead=row.id,
        sources=sources,
        target=target,
        hops=effect.hops,
        failures=effect.failures,
        cooldown_until=row.moment + effect.cooldown if effect.cooldown else None,
        head_sha=effect.head_sha,
        to_land=effect.event is BeadEvent.AWAIT_LANDING,
        closes=closes,
        closed_at=written_too.get("closed_at"),
        close_reason=written_too.get("close_reason"),
        changes=Json(written_too["changes"]) if closes else None,
        at=row.moment,
        kind="bead.closed" if closes else f"bead.{target}",
        run=run.id if run else None,
        told=Jsonb(told),
    )
    return bool(moved)


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
            guard.within(_BEADS.c.status, [BeadStatus.OPEN]),
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
