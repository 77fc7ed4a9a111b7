"""Where beads are in their workflows, and how they move: what other writes of the store do about it.

The callers hold the project's lock and the bead's row.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.escalation import asked_by_workflow
from dispatch.models.decision import Decision
from dispatch.models.identity import BeadKey
from dispatch.models.settling import Escalation
from dispatch.models.workflow import (
    Condition,
    Execution,
    Node,
    NodeKind,
    Review,
    Turn,
    Workflow,
    WorkflowMove,
)
from dispatch.store import asking, history, records, schema
from dispatch.store.transaction import Transaction
from dispatch.store.written import written
from dispatch.workflow.moving import advance, begin, renewed, times_out

_BEADS = schema.beads
_EXECUTIONS = schema.executions
_WORKFLOW: TypeAdapter[Workflow] = TypeAdapter(Workflow)
_REVIEWS: TypeAdapter[tuple[Review, ...]] = TypeAdapter(tuple[Review, ...])
_ENTER = written(
    """
UPDATE beads SET
    node = :node, turn = :turn, step_size = :size, step_reads = :reads, node_timeout_seconds = :timeout,
    triaged_from = COALESCE(triaged_from, role_hint),
    role_hint = CASE WHEN :role = '' THEN COALESCE(triaged_from, role_hint) ELSE :role END,
    role_reason = :reason,
    ready_since = :now,
    refusal = ''
WHERE project_id = :project AND id = :bead
"""
)
_SERVED = written(
    """
SELECT 1 FROM incarnations
WHERE NOT gone AND NOT stopping AND :role = ANY (roles) LIMIT 1
"""
)


def execution_of(tx: Transaction, key: BeadKey) -> Execution | None:
    """Return where a bead is, or was at last, in a workflow."""
    row = tx.connection.execute(
        select(_EXECUTIONS).where(_EXECUTIONS.c.project_id == key.project_id, _EXECUTIONS.c.bead_id == key.bead_id)
    ).one_or_none()
    if row is None:
        return None
    return Execution(
        workflow=_WORKFLOW.validate_python(row.definition),
        node=row.node,
        attempts=row.attempts,
        cycles=row.cycles,
        visited=tuple(row.visited),
        writer=row.writer,
        reviews=_REVIEWS.validate_python(row.reviews),
        entered_at=row.entered_at,
        ended_at=row.ended_at,
    )


def apply(tx: Transaction, row: Any, move: WorkflowMove, escalation: Escalation | None = None) -> None:
    """Move a bead of a locked row on as decided.

    `escalation` is what a human is asked; where one has to be asked and it is not given, it is made from the move.
    """
    key = BeadKey.of(row.project_id, row.id)
    execution = execution_of(tx, key)
    assert execution is not None, "a bead that moves is in a workflow"
    moved = move.applied_to(execution)
    _write(tx, key, moved)
    _enter(tx, key, moved)
    history.add_event(tx, "workflow.moved", bead=key, **_told(execution, move))
    ask(tx, row, moved, escalates=move.escalates, escalation=escalation)


def advance_bead(tx: Transaction, row: Any, condition: Condition, review: Review | None) -> WorkflowMove | None:
    """Move a bead of a locked row on by a condition; None: it is at no node."""
    execution = execution_of(tx, BeadKey.of(row.project_id, row.id)) if row.node else None
    if execution is None or execution.current is None:
        return None
    move = advance(execution, condition, reviews=(review,) if review is not None else ())
    apply(tx, row, move)
    return move


def renew(tx: Transaction, key: BeadKey) -> None:
    """Forget the failures and cycles of a bead so far: a human let it go on."""
    execution = execution_of(tx, key)
    if execution is not None and execution.ended_at is None:
        _write(tx, key, renewed(execution))


def end(tx: Transaction, key: BeadKey, why: str) -> None:
    """End the workflow of a bead that is done. When its tracker opens it again it may begin anew."""
    mine = (_EXECUTIONS.c.project_id == key.project_id, _EXECUTIONS.c.bead_id == key.bead_id)
    tx.connection.execute(update(_EXECUTIONS).where(*mine).values(ended_at=tx.now(), due_at=None))
    values = {"node": "", "turn": "", "workflow": "", "step_size": 1, "step_reads": False, "node_timeout_seconds": None}
    tx.connection.execute(update(_BEADS).where(*_is(key)).values(values))
    history.add_event(tx, "workflow.ended", bead=key, reason=why)


def _is(key: BeadKey) -> tuple[Any, Any]:
    return _BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id


def start(tx: Transaction, row: Any, workflow: Workflow) -> Execution:
    """Begin a workflow for the bead of a row, whatever it was in before."""
    key, execution = BeadKey.of(row.project_id, row.id), begin(workflow)
    _begin(tx, key, execution)
    history.add_event(tx, "workflow.started", bead=key, workflow=workflow.name, node=execution.node)
    _enter(tx, key, execution)
    ask(tx, row, execution)
    return execution


def _begin(tx: Transaction, key: BeadKey, execution: Execution) -> None:
    values = {
        "definition": _WORKFLOW.dump_python(execution.workflow, mode="json"),
        "node": execution.node,
        "attempts": 0,
        "cycles": 0,
        "visited": [],
        "writer": "",
        "reviews": [],
        "started_at": tx.now(),
        "entered_at": tx.now(),
        "due_at": None,
        "ended_at": None,
    }
    tx.connection.execute(
        upsert(_EXECUTIONS)
        .values(project_id=key.project_id, bead_id=key.bead_id, **values)
        .on_conflict_do_update(index_elements=[_EXECUTIONS.c.project_id, _EXECUTIONS.c.bead_id], set_=values)
    )
    tx.connection.execute(update(_BEADS).where(*_is(key)).values(workflow=execution.workflow.name))


def _write(tx: Transaction, key: BeadKey, execution: Execution) -> None:
    tx.connection.execute(
        update(_EXECUTIONS)
        .where(_EXECUTIONS.c.project_id == key.project_id, _EXECUTIONS.c.bead_id == key.bead_id)
        .values(
            node=execution.node,
            attempts=execution.attempts,
            cycles=execution.cycles,
            visited=list(execution.visited),
            writer=execution.writer,
            reviews=_REVIEWS.dump_python(execution.reviews, mode="json"),
        )
    )


def _enter(tx: Transaction, key: BeadKey, execution: Execution) -> None:
    """Write to the bead what its node asks for, and to the execution since when it is there and how long."""
    node, moment = execution.current, tx.moment()
    due: datetime | None = None
    if node is not None and node.kind is NodeKind.APPROVAL and times_out(node) and node.timeout is not None:
        due = moment + node.timeout
    tx.connection.execute(
        update(_EXECUTIONS)
        .where(_EXECUTIONS.c.project_id == key.project_id, _EXECUTIONS.c.bead_id == key.bead_id)
        .values(entered_at=moment, due_at=due)
    )
    role = _role(tx, node)
    where = f"at {execution.node}" if node is not None else "through"
    told = f"Its workflow {execution.workflow.name} is {where}"
    tx.run(
        _ENTER,
        project=key.project_id,
        bead=key.bead_id,
        node=execution.node,
        turn=_turn(node),
        size=node.reviewers if node is not None else 1,
        reads=node is not None and not node.writes,
        timeout=node.timeout.total_seconds() if node is not None and node.timeout is not None else None,
        role=role,
        reason=f"{told}, which is for {role}." if role else f"{told}.",
        now=moment,
    )


def _turn(node: Node | None) -> Turn:
    if node is None:
        return Turn.ENGINE
    return Turn.HUMAN if node.kind is NodeKind.APPROVAL else Turn.AGENT


def _role(tx: Transaction, node: Node | None) -> str:
    """Return the role that a node asks for; a commit node's only where somebody serves it, empty else."""
    if node is None or not node.role:
        return ""
    if node.kind is NodeKind.COMMIT and not tx.run(_SERVED, role=node.role):
        return ""
    return node.role


def ask(
    tx: Transaction, row: Any, execution: Execution, *, escalates: str = "", escalation: Escalation | None = None
) -> Decision | None:
    """Open the decision that a bead waits for at its node, if any."""
    bead = records.bead(row)
    escalation = escalation or asked_by_workflow(bead, execution, escalates)
    return asking.open_decision(tx, bead, escalation) if escalation is not None else None


def _told(execution: Execution, move: WorkflowMove) -> dict[str, Any]:
    told: dict[str, Any] = {
        "workflow": execution.workflow.name,
        "source": move.source,
        "target": move.target,
        "condition": move.condition,
        "attempts": move.attempts,
        "cycles": move.cycles,
    }
    if move.votes is not None:
        told["votes"] = asdict(move.votes)
    return told | ({"escalates": move.escalates} if move.escalates else {})
