"""The end of a run in one statement: bead locked, run settled, agent freed, and the step joined by its last run.

The caller holds the project's lock, and no run of a step is settled without that: so what this statement sees of the
others does not change before it commits.
"""

from typing import Any

from dispatch.models.identity import BeadKey, RunId
from dispatch.models.states import OPEN_RUN_STATES, AgentEvent, AgentState, RunEvent, RunState, StepEvent
from dispatch.store import effects, guard, records, schema
from dispatch.store.transaction import Transaction
from dispatch.store.written import written

_AGENTS = schema.agents
_SETTLE = written(
    f"""
WITH bead AS (
    {effects.LOCKED_BEAD}
),
settled AS (
    UPDATE runs SET state = {guard.target(schema.runs, RunEvent.SETTLE)}, settled_at = bead.moment FROM bead
    WHERE runs.id = :run AND runs.state IN {guard.sources(schema.runs, RunEvent.SETTLE)}
    RETURNING runs.*
),
freed AS (
    UPDATE agents SET
        state = CASE WHEN incarnations.gone THEN {guard.target(_AGENTS, AgentEvent.LEAVE)}
            ELSE {guard.target(_AGENTS, AgentEvent.FREE)} END,
        last_used_at = CASE WHEN agents.state = '{AgentState.WORKING}' THEN settled.settled_at
            ELSE agents.last_used_at END
    FROM settled, incarnations
    WHERE agents.id = settled.agent_id AND incarnations.id = agents.incarnation_id
      AND CASE WHEN incarnations.gone THEN agents.state IN {guard.sources(_AGENTS, AgentEvent.LEAVE)}
          ELSE agents.state IN {guard.sources(_AGENTS, AgentEvent.FREE)} END
),
joined AS (
    UPDATE steps SET state = {guard.target(schema.steps, StepEvent.JOIN)}, joined_at = settled.settled_at FROM settled
    WHERE steps.id = settled.step_id AND steps.state IN {guard.sources(schema.steps, StepEvent.JOIN)}
      AND NOT EXISTS (
          SELECT FROM runs
          WHERE runs.step_id = steps.id AND runs.id <> :run AND runs.state IN {guard.states(OPEN_RUN_STATES)}
      )
    RETURNING steps.id, steps.size
),
told AS (
    INSERT INTO events (at, kind, project_id, bead_id, run_id, data)
    SELECT settled_at, 'run.settled', project_id, bead_id, id, jsonb_build_object(
        'attempt', attempt, 'role', role, 'agent', agent_id, 'outcome', outcome->>'kind', 'commit', commit_sha
    )
    FROM settled
)
SELECT bead.*, joined.size AS joined_size, EXISTS (
    SELECT FROM runs WHERE runs.state = '{RunState.REPORTED}' AND runs.settle_failures = 0 AND runs.id <> :run
) AS others_wait, {records.run_columns("settled")}
FROM settled JOIN bead ON true LEFT JOIN joined ON true
"""
)


def settle_run(tx: Transaction, run_id: RunId, key: BeadKey) -> Any:
    """Settle a reported run of a bead and return the bead's row, as `effects.lock_bead` does; None: it is not reported.

    The row also has `joined_size`: the number of the step's runs when this one joined it, else NULL; and `others_wait`:
    whether there are other runs whose settle is still to come. It ends with the run's (`records.run_row`).
    """
    return tx.run_one(_SETTLE, run=run_id, project=key.project_id, bead=key.bead_id, now=tx.given)
