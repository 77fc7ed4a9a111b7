"""The start of a run in one statement, when all is as the claim left it: the reserved agent is here and due.

Where anything is otherwise nothing is written, and `running` looks closer: another agent may do, or there is a reason
why the run may not start. Locks are taken in the order run, worker, agent.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from dispatch.models.identity import IncarnationId, RunId
from dispatch.models.states import AgentEvent, RunEvent, StepState
from dispatch.store import guard, records, schema
from dispatch.store.transaction import Transaction
from dispatch.store.written import NOW, written

MORE_TO_READ: Final = {
    "repeats": "runs.attempt > 1",
    "has_advice": "beads.advised",
    "has_edges": """EXISTS (
        SELECT FROM dependencies
        WHERE dependencies.project_id = runs.project_id AND dependencies.issue_id = runs.bead_id
    )""",
    "has_session": """(runs.writes_branch AND EXISTS (
        SELECT FROM sessions WHERE sessions.project_id = runs.project_id AND sessions.bead_id = runs.bead_id
    ))""",
    "has_workflow": "(beads.node <> '')",
    "has_lessons": """EXISTS (
        SELECT FROM lessons WHERE lessons.project_id = runs.project_id AND lessons.forgotten_at IS NULL
    )""",
    "has_memory": """EXISTS (
        SELECT FROM memories WHERE memories.project_id = runs.project_id AND NOT memories.forgotten
    )""",
}
"""What a run may need besides its bead and project, and how a statement sees that from `runs` and `beads`.

A run for which none of it holds starts in one statement. For any other each is a column of what `MATERIAL` reads, under
a name that no column of `beads` has, and its worker reads on.
"""
_PROJECT = "(SELECT to_json(projects) FROM projects WHERE projects.id = beads.project_id) AS project"
"""Not joined: a planner that knows nothing of a table yet would take all beads of the project for the one it wants."""
MATERIAL: Final = f"beads.*, {_PROJECT}, " + ", ".join(
    f"{condition} AS {name}" for name, condition in MORE_TO_READ.items()
)
_NOTHING_MORE = " AND ".join(f"NOT {condition}" for condition in MORE_TO_READ.values())
_START = f"""
WITH due AS (
    SELECT runs.id, runs.agent_id FROM runs JOIN steps ON steps.id = runs.step_id
    JOIN beads ON beads.project_id = runs.project_id AND beads.id = runs.bead_id
    WHERE runs.id = :run AND runs.state IN {guard.sources(schema.runs, RunEvent.START)} AND runs.stop_reason IS NULL
      AND steps.state = '{StepState.OPEN}' AND {{condition}}
    FOR UPDATE OF runs
),
fresh AS (
    SELECT incarnations.id FROM incarnations JOIN due ON true
    WHERE incarnations.id = :worker AND NOT gone AND NOT stopping
      AND heartbeat_at > {NOW} - CAST(:lease AS interval)
    FOR SHARE OF incarnations
),
agent AS (
    UPDATE agents SET state = {guard.target(schema.agents, AgentEvent.WORK)} FROM due JOIN fresh ON true
    WHERE agents.id = due.agent_id AND agents.incarnation_id = fresh.id
      AND agents.state IN {guard.sources(schema.agents, AgentEvent.WORK)}
    RETURNING agents.id, agents.name, agents.incarnation_id, {NOW} AS moment
),
started AS (
    UPDATE runs SET state = {guard.target(schema.runs, RunEvent.START)}, token = :token,
        agent_name = agent.name, incarnation_id = agent.incarnation_id,
        started_at = agent.moment, lease_until = agent.moment + CAST(:lease AS interval),
        deadline_at = agent.moment + make_interval(secs => runs.timeout_seconds)
    FROM due JOIN agent ON agent.id = due.agent_id
    WHERE runs.id = due.id
    RETURNING runs.*
),
told AS (
    INSERT INTO events (at, kind, project_id, bead_id, run_id, data)
    SELECT started_at, 'run.started', project_id, bead_id, id,
           jsonb_build_object('attempt', attempt, 'role', role, 'agent', agent_id)
    FROM started
)
{{answer}}
"""
_START_AS_CLAIMED = written(_START.format(condition="true", answer="SELECT * FROM started"))
_START_AT_ONCE = written(
    _START.format(
        condition=_NOTHING_MORE,
        answer=f"""
SELECT beads.*, {_PROJECT}, {", ".join(f"false AS {name}" for name in MORE_TO_READ)},
       started.step_id, {records.run_columns("started")}
FROM started
JOIN beads ON beads.project_id = started.project_id AND beads.id = started.bead_id
""",
    )
)


def start_as_claimed(tx: Transaction, run_id: RunId, worker_id: IncarnationId, token: UUID, lease: timedelta) -> Any:
    """Start a run on the agent of the worker that was reserved for it, and return its row.

    None: something is not as it was claimed.
    A handback that comes at the same time waits for the worker's row, and then finds this run running.
    """
    return tx.run_one(_START_AS_CLAIMED, run=run_id, worker=worker_id, token=token, lease=lease, now=tx.given)


def start_at_once(
    tx: Transaction, run_id: RunId, worker_id: IncarnationId, token: UUID, lease: timedelta
) -> tuple[Any, Any]:
    """Start like `start_as_claimed` a run for which nothing more is to be read; return its row and its `MATERIAL`.

    Nothing, twice: there is more to read, or something is not as it was claimed.
    """
    row = tx.run_one(_START_AT_ONCE, run=run_id, worker=worker_id, token=token, lease=lease, now=tx.given)
    if row is None:
        return None, None
    return records.run_row(row), row
