"""The engine's side of workflows: beads that have to begin, wait for a human without being asked, or are through.

A bead in a workflow says whose turn it is: `agent` (its node's, so the bead is dispatched as any other), `human` (an
approval) or `engine` (it has to begin, or is through). What is the engine's, and approvals without an open decision,
every tick finds by an index: so whatever a crash left half-done is gone on with.
"""

from typing import Any

from sqlalchemy import select, update

from dispatch.errors import NotFoundError
from dispatch.models.decision import Decision
from dispatch.models.identity import BeadId, BeadKey
from dispatch.models.settling import BeadEffect
from dispatch.models.states import BeadStatus
from dispatch.models.workflow import DONE, Condition, DueBead, Execution, Review, Turn, Workflow, WorkflowMove
from dispatch.store import asking, beads, effects, history, ruling, schema, workflows
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.written import written
from dispatch.workflow.moving import times_out

_BEADS = schema.beads
_EXECUTIONS = schema.executions
BATCH = 50
"""Beads that one look returns at most."""
ENGINE = "the workflow engine"
"""Who ends a decision that its workflow no longer waits for."""

_DUE = written(
    """
SELECT project_id, id, false AS overdue FROM beads
WHERE status = 'open' AND turn IN ('engine', 'human') AND NOT blocked AND (ready_from IS NULL OR ready_from <= :now)
UNION ALL
SELECT executions.project_id, executions.bead_id, true
FROM executions JOIN beads ON beads.project_id = executions.project_id AND beads.id = executions.bead_id
WHERE executions.due_at <= :now AND executions.ended_at IS NULL AND executions.due_at IS NOT NULL
  AND beads.status = 'open' AND beads.turn = 'human'
LIMIT :most
"""
)


class WorkflowRecords:
    """The executions of workflows, as the engine sees them."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def execution(self, key: BeadKey) -> Execution | None:
        """Return where a bead is, or was at last, in a workflow; None: it never was in one."""
        with self._units.read() as tx:
            return workflows.execution_of(tx, key)

    def due(self) -> list[DueBead]:
        """Return beads that wait for the engine, of all projects, at most `BATCH`."""
        with self._units.read() as tx:
            rows = tx.run(_DUE, now=tx.moment(), most=BATCH)
            overdue = {BeadKey.of(row.project_id, row.id): row.overdue for row in rows}
            return [
                DueBead(bead=bead, execution=workflows.execution_of(tx, key), is_overdue=overdue[key])
                for key, bead in beads.many(tx, list(overdue)).items()
            ]

    def start(self, key: BeadKey, workflow: Workflow, *, again: bool = False) -> Execution | None:
        """Begin a workflow for a bead; None: it is in one already, is at work, or is done.

        With `again` a bead that is in one, but not at work, begins anew. Raises `NotFoundError`.
        """
        return retrying(lambda: self._start(key, workflow, again))

    def _start(self, key: BeadKey, workflow: Workflow, again: bool) -> Execution | None:
        with self._units.begin() as tx:
            row = _lock(tx, key)
            if row.status != BeadStatus.OPEN or (row.node and not again):
                return None
            ruling.released(tx, key, ruling.end_moot(tx, key, ENGINE, reason="Its workflow begins anew."))
            return workflows.start(tx, row, workflow)

    def forget_wish(self, key: BeadKey, problem: str) -> None:
        """Let a bead go without a workflow whose definition is not to be had, and say why."""
        with self._units.begin() as tx:
            row = _lock(tx, key)
            if row.node:
                return
            values = {"workflow": "", "turn": "", "role_problem": problem}
            tx.connection.execute(
                update(_BEADS).where(_BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id).values(values)
            )
            history.add_event(tx, "workflow.unknown", bead=key, workflow=row.workflow, problem=problem)

    def advance(self, key: BeadKey, condition: Condition, review: Review | None = None) -> WorkflowMove | None:
        """Move a bead on by hand; None: it is at no node, or a run of it is under way. Raises `NotFoundError`."""
        return retrying(lambda: self._advance(key, condition, review))

    def _advance(self, key: BeadKey, condition: Condition, review: Review | None) -> WorkflowMove | None:
        with self._units.begin() as tx:
            row = _lock(tx, key)
            return workflows.advance_bead(tx, row, condition, review) if row.status == BeadStatus.OPEN else None

    def time_out(self, key: BeadKey) -> WorkflowMove | None:
        """Take the timeout edge of an approval that nobody gave in time, and end its decision; None: it was given."""
        return retrying(lambda: self._time_out(key))

    def _time_out(self, key: BeadKey) -> WorkflowMove | None:
        with self._units.begin() as tx:
            row = _lock(tx, key)
            execution = workflows.execution_of(tx, key)
            due = tx.connection.execute(
                select(_EXECUTIONS.c.due_at).where(
                    _EXECUTIONS.c.project_id == key.project_id,
                    _EXECUTIONS.c.bead_id == key.bead_id,
                    _EXECUTIONS.c.due_at <= tx.now(),
                )
            ).scalar()
            if execution is None or row.turn != Turn.HUMAN or due is None or not times_out(execution.current):
                return None
            ended = ruling.end_moot(tx, key, ENGINE, reason="Nobody answered in time.")
            move = workflows.advance_bead(tx, row, Condition.TIMEOUT, None)
            ruling.released(tx, key, ended)
            return move

    def open_approval(self, key: BeadKey) -> Decision | None:
        """Ask a human at an approval for which no decision is open; None: one is, or the bead is elsewhere."""
        return retrying(lambda: self._open_approval(key))

    def _open_approval(self, key: BeadKey) -> Decision | None:
        with self._units.begin() as tx:
            row = _lock(tx, key)
            execution = workflows.execution_of(tx, key)
            if execution is None or row.status != BeadStatus.OPEN or row.turn != Turn.HUMAN:
                return None
            if asking.open_row_about(tx, key) is not None:
                return None
            return workflows.ask(tx, row, execution)

    def conclude(self, key: BeadKey, effect: BeadEffect) -> tuple[BeadId, ...] | None:
        """Let the work of a bead that is through land, or close it; None: it is not through, or waits for something.

        Return the beads that became unblocked.
        """
        return retrying(lambda: self._conclude(key, effect))

    def _conclude(self, key: BeadKey, effect: BeadEffect) -> tuple[BeadId, ...] | None:
        with self._units.begin() as tx:
            tx.lock_project(key.project_id)
            row = effects.lock_bead(tx, key)
            if row is None or row.status != BeadStatus.OPEN or row.node != DONE or row.blocked:
                return None
            return effects.apply_effect(tx, row, effect, None)


def _lock(tx: Transaction, key: BeadKey) -> Any:
    """Lock a bead's project and the bead, and return its row. Raises `NotFoundError`."""
    tx.lock_project(key.project_id)
    row = beads.row_of(tx, key)
    if row is None:
        raise NotFoundError(thing="bead", name=str(key), cure="See `dispatch ready --all --project ID`.")
    return row
