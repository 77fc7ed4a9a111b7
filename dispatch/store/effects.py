"""Applies the end of a step, or of a landing, to its bead: one guarded move and what belongs to it.

The caller holds the project's lock and the bead's row.
"""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Json, Jsonb
from sqlalchemy import select

from dispatch.models.identity import BeadId, BeadKey
from dispatch.models.run import Run
from dispatch.models.settling import BeadEffect, Triage
from dispatch.models.states import BEAD_MOVES, BeadStatus, StepEvent
from dispatch.store import asking, graph, guard, history, lessons, records, schema, tracking, workflows
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
        hold = CASE WHEN :closes THEN '' ELSE hold END,
        closed_at = COALESCE(:closed_at, closed_at),
        close_reason = COALESCE(:close_reason, close_reason),
        changes = COALESCE(:changes, changes),
        commit_first = COALESCE(:commit_first, commit_first),
        commit_last = COALESCE(:commit_last, commit_last),
        commit_count = COALESCE(:commits, commit_count)
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
LOCKED_BEAD = f"""
SELECT beads.*, {NOW} AS moment, (
    EXISTS (SELECT FROM dependencies WHERE project_id = :project AND issue_id = :bead)
    OR EXISTS (SELECT FROM dependencies WHERE project_id = :project AND depends_on_id = :bead)
) AS has_edges, EXISTS (
    SELECT FROM failure_rows WHERE project_id = :project
) AS failing
FROM beads WHERE project_id = :project AND id = :bead
FOR UPDATE OF beads
"""
"""Locks a bead, for `project` and `bead`, and gives what `lock_bead` returns; also as a part of another statement."""
_LOCK_BEAD = written(LOCKED_BEAD)


def lock_bead(tx: Transaction, key: BeadKey) -> Any:
    """Lock and return the row of a bead; None: there is no such bead.

    It also has the `moment`, whether the bead `has_edges`, and whether its project is `failing`: has a row of failures.
    """
    return tx.run_one(_LOCK_BEAD, project=key.project_id, bead=key.bead_id, now=tx.given)


def apply_effect(tx: Transaction, row: Any, effect: BeadEffect, run: Run | None) -> tuple[BeadId, ...]:
    """Move the bead of a row that `lock_bead` gave as decided; return the beads that are no longer blocked.

    A bead that somebody moved stays as it is.
    """
    key = BeadKey.of(row.project_id, row.id)
    if effect.error is not None and run is not None:
        history.add_error(tx, run, effect.error)
    closes = BEAD_MOVES[effect.event].target == BeadStatus.CLOSED
    if not _move(tx, row, effect, run, closes):
        history.add_event(
            tx, "bead.kept", bead=key, run_id=run.id if run else None, status=row.status, wanted=effect.event
        )
        return ()
    if effect.overcame and run is not None:
        lessons.record_overcome(tx, records.bead(row), run)
    if effect.workflow is not None and row.node:
        workflows.apply(tx, row, effect.workflow, effect.escalation)
    elif effect.escalation is not None:
        asking.open_decision(tx, records.bead(row), effect.escalation)
    if closes and row.workflow:
        workflows.end(tx, key, effect.reason)
    if effect.triage is not None:
        _send_to_triage(tx, row, effect.triage)
    if not closes or not (row.has_edges or row.blocked):
        return ()
    turned = graph.recompute_blocked(tx, key.project_id, [key.bead_id])
    return tuple(bead_id for bead_id, blocked in turned.items() if not blocked and bead_id != key.bead_id)


def _move(tx: Transaction, row: Any, effect: BeadEffect, run: Run | None, closes: bool) -> bool:
    """Make the guarded move, tell of it and count the wish for a tick; False when the bead may not make it."""
    sources, target = guard.allowed(_BEADS, effect.event)
    written_too = tracking.closing(row, row.moment, effect.close_reason) if closes else {}
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
        to_land=target == BeadStatus.LANDING,
        closes=closes,
        closed_at=written_too.get("closed_at"),
        close_reason=written_too.get("close_reason"),
        changes=Json(written_too["changes"]) if closes else None,
        commit_first=effect.commits.first if effect.commits else None,
        commit_last=effect.commits.last if effect.commits else None,
        commits=effect.commits.count if effect.commits else None,
        at=row.moment,
        kind="bead.closed" if closes else f"bead.{target}",
        run=run.id if run else None,
        told=Jsonb(told),
    )
    return bool(moved)


def _send_to_triage(tx: Transaction, row: Any, triage: Triage) -> None:
    """Let a bead go first, and to whom triage is. Imports and a new routing leave that until its tracker says more."""
    key, moment = BeadKey.of(row.project_id, row.id), row.moment
    asked_for = row.triaged_from if row.triaged_from is not None else row.role_hint
    columns = {"priority": 0, "role_hint": triage.role, "role_reason": triage.reason, "role_problem": ""}
    columns |= {"ready_since": moment, "triaged_at": moment, "triaged_from": asked_for}
    changes = {"priority": 0, "updated_at": tracking.tracker_time(moment)}
    tracking.add_changes(tx, key, changes, columns=columns)
    history.add_event(tx, "bead.triaged", bead=key, role=triage.role, reason=triage.reason)


def join_step(tx: Transaction, step_id: Any) -> bool:
    """Close a step; False when it was closed already."""
    joined = guard.move_one(
        tx.connection, schema.steps, StepEvent.JOIN, schema.steps.c.id == step_id, values={"joined_at": tx.now()}
    )
    return joined is not None


def settled_runs(tx: Transaction, step_id: Any) -> Sequence[Any]:
    """Return the rows of a step's runs that ended with an outcome, in their order."""
    runs = schema.runs
    return tx.connection.execute(
        select(runs).where(runs.c.step_id == step_id, runs.c.outcome.is_not(None)).order_by(runs.c.position)
    ).all()
