"""The start of a run in one statement, when all is as the claim left it: the reserved agent is here and due.

Where anything is otherwise nothing is written, and `running` looks closer: another agent may do, or there is a reason
why the run may not start. Locks are taken in the order run, worker, agent.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from dispatch.models.identity import IncarnationId, RunId
from dispatch.models.states import AgentEvent, RunEvent, StepState
from dispatch.store import guard, schema
from dispatch.store.transaction import Transaction
from dispatch.store.written import NOW, written

_START = written(
    f"""
WITH due AS (
    SELECT runs.id, runs.agent_id FROM runs JOIN steps ON steps.id = runs.step_id
    WHERE runs.id = :run AND runs.state IN {guard.sources(schema.runs, RunEvent.START)} AND runs.stop_reason IS NULL
      AND steps.state = '{StepState.OPEN}'
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
SELECT * FROM started
"""
)


def start_as_claimed(tx: Transaction, run_id: RunId, worker_id: IncarnationId, token: UUID, lease: timedelta) -> Any:
    """Start a run on the agent of the worker that was reserved for it, and return its row.

    None: something is not as it was claimed.
    A handback that comes at the same time waits for the worker's row, and then finds this run running.
    """
    return tx.run_one(_START, run=run_id, worker=worker_id, token=token, lease=lease, now=tx.given)
