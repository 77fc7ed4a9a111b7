"""What a bead's runs came to before, as far as loops are judged by it: always bounded, and read through indexes.

The agents' data are cut to what tells one action from another, since each may hold a whole file.
"""

from datetime import datetime, timedelta
from typing import Any

from dispatch.loops import PING_PONG_RUNS
from dispatch.models.identity import AgentId, BeadKey
from dispatch.models.outcome import HOP_KINDS
from dispatch.models.run import ActionRecord
from dispatch.models.settling import LookBack, Past
from dispatch.models.states import RunState
from dispatch.store import guard, history
from dispatch.store.transaction import Transaction
from dispatch.store.written import NOW, written

ERRORS_TOLD = 10
_MOST_RUNS = 200
"""More than a bead ever has: after five times the hop limit it goes to a human."""
_MOST_ACTIONS = 10_000
_MOST_FOR_A_RUN = 500
"""Actions of earlier runs that a new run is judged with."""
_CUT = 2000
"""Characters of an action's data, or of its key, that are read; of longer ones a digest stands for the rest."""

_ACTIONS = written(
    """
SELECT newest.last, newest.at, newest.agent_id, newest.action_type, newest.result_hash,
    CASE WHEN length(newest.progress_key) <= :cut THEN newest.progress_key
        ELSE left(newest.progress_key, :cut) || ' ' || md5(newest.progress_key) END AS progress_key,
    CASE WHEN length(CAST(newest.action_data AS text)) <= :cut THEN newest.action_data END AS action_data,
    CASE WHEN newest.result_hash = '' AND length(CAST(newest.action_data AS text)) > :cut
        THEN md5(CAST(newest.action_data AS text)) ELSE newest.result_hash END AS result
FROM (
    SELECT action.*, run.last FROM (
        SELECT id, created_at, step_id = first_value(step_id) OVER (ORDER BY created_at DESC, id DESC) AS last
        FROM runs WHERE project_id = :project AND bead_id = :bead AND state <> 'withdrawn'
        ORDER BY created_at DESC, id DESC LIMIT :runs
    ) AS run
    CROSS JOIN LATERAL (
        SELECT * FROM actions WHERE actions.run_id = run.id ORDER BY actions.id DESC LIMIT :actions
    ) AS action
    ORDER BY run.created_at DESC, run.id DESC, action.id DESC LIMIT :actions
) AS newest
ORDER BY newest.id
"""
)
_FACTS = written(
    f"""
SELECT {NOW} AS moment, ARRAY(
    SELECT had.agent_id FROM (
        SELECT runs.agent_id, runs.created_at, runs.id FROM runs JOIN beads
            ON beads.project_id = runs.project_id AND beads.id = runs.bead_id
        WHERE runs.project_id = :project AND runs.bead_id = :bead AND runs.position = 0
          AND runs.state IN {guard.states([RunState.SETTLED])} AND runs.outcome->>'kind' IN {guard.states(HOP_KINDS)}
          AND runs.created_at > COALESCE(beads.triaged_at, '-infinity')
        ORDER BY runs.created_at DESC, runs.id DESC LIMIT {PING_PONG_RUNS}
    ) AS had ORDER BY had.created_at, had.id
) AS agents, ARRAY(
    SELECT DISTINCT unnest(roles) FROM incarnations
    WHERE NOT gone AND heartbeat_at > {NOW} - CAST(:lease AS interval)
) AS roles, (
    SELECT COALESCE(max(attempt), 0) FROM runs WHERE project_id = :project AND bead_id = :bead
) AS attempts
"""
)


def look_back(tx: Transaction, key: BeadKey, wanted: LookBack, lease: timedelta) -> Past:
    """Read of a bead's past what is wanted. Workers not heard of for `lease` serve no role."""
    facts = tx.run_one(_FACTS, project=key.project_id, bead=key.bead_id, lease=lease, now=tx.given)
    rows = _action_rows(tx, key, _MOST_ACTIONS) if wanted.actions else []
    return Past(
        moment=facts.moment,
        attempts=facts.attempts,
        actions=[_action(row) for row in rows if not row.last],
        last_actions=[_action(row) for row in rows if row.last],
        errors=history.errors_of(tx, key, limit=ERRORS_TOLD) if wanted.actions else (),
        agents=[AgentId(agent) if agent is not None else None for agent in facts.agents],
        served_roles=frozenset(facts.roles),
    )


def actions_before(tx: Transaction, key: BeadKey) -> list[ActionRecord]:
    """Return the last actions of a bead's runs so far, oldest first: what a new one is judged with."""
    return [_action(row) for row in _action_rows(tx, key, _MOST_FOR_A_RUN)]


def _action_rows(tx: Transaction, key: BeadKey, limit: int) -> list[Any]:
    return tx.run(_ACTIONS, project=key.project_id, bead=key.bead_id, runs=_MOST_RUNS, actions=limit, cut=_CUT)


def _action(row: Any) -> ActionRecord:
    """An action; where its data were too long to read they are made from its key, which mostly is its command."""
    data = row.action_data
    if not isinstance(data, dict):
        data = {"command": row.progress_key.removeprefix(f"{row.action_type}:")}
    at: datetime = row.at
    return ActionRecord(
        timestamp=at,
        action_type=row.action_type,
        action_data=data,
        result_hash=row.result,
        progress_key=row.progress_key,
        agent_id=AgentId(row.agent_id) if row.agent_id else None,
    )
