"""The claim: beads, steps, runs and reservations of a whole round in one statement, all of a step or nothing of it.

The caller holds the tick's lock and those of the projects. A bead that is not to be had any more, or an agent that is
not idle, takes its own step out of the statement and no other: the conditions are asked for here, again, with the rows
locked, so that no unique index has to refuse one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dispatch.models.dispatching import Handover, Placement
from dispatch.models.identity import ProjectId, StepId, uuid7
from dispatch.models.messages import TaskMessage
from dispatch.models.states import OPEN_RUN_STATES, AgentEvent, BeadEvent, RunState, StepState
from dispatch.store import guard, schema
from dispatch.store.transaction import Transaction
from dispatch.store.written import written

_CLAIM = written(
    f"""
WITH wish AS (
    SELECT * FROM unnest(
        CAST(:projects AS text[]), CAST(:beads AS text[]), CAST(:steps AS uuid[]), CAST(:runs AS uuid[]),
        CAST(:positions AS int[]), CAST(:agents AS uuid[]), CAST(:roles AS text[]), CAST(:timeouts AS float8[]),
        CAST(:reasons AS text[]), CAST(:reads AS bool[]), CAST(:providers AS text[])
    ) AS wish(project_id, bead_id, step_id, run_id, position, agent_id, role, timeout_seconds, reason, reads, provider)
),
free AS (
    SELECT id, name, incarnation_id FROM agents
    WHERE id = ANY (CAST(:agents AS uuid[])) AND state IN {guard.sources(schema.agents, AgentEvent.RESERVE)}
      AND NOT EXISTS (
          SELECT FROM runs WHERE runs.agent_id = agents.id AND runs.state IN {guard.states(OPEN_RUN_STATES)}
      )
    ORDER BY id FOR UPDATE
),
able AS (
    SELECT wish.project_id, wish.bead_id, wish.step_id FROM wish LEFT JOIN free ON free.id = wish.agent_id
    GROUP BY wish.project_id, wish.bead_id, wish.step_id HAVING count(free.id) = count(*)
),
moved AS (
    UPDATE beads SET status = {guard.target(schema.beads, BeadEvent.CLAIM)}, refusal = '' FROM able
    WHERE beads.project_id = able.project_id AND beads.id = able.bead_id
      AND beads.status IN {guard.sources(schema.beads, BeadEvent.CLAIM)}
      AND NOT beads.blocked AND beads.dispatchable AND (beads.ready_from IS NULL OR beads.ready_from <= :now)
      AND NOT EXISTS (
          SELECT FROM steps
          WHERE steps.project_id = able.project_id AND steps.bead_id = able.bead_id AND steps.state = '{StepState.OPEN}'
      )
    RETURNING able.step_id, beads.head_sha
),
taken AS (
    SELECT wish.*, moved.head_sha, free.name AS agent_name, free.incarnation_id, 1 + COALESCE((
        SELECT max(attempt) FROM runs
        WHERE runs.project_id = wish.project_id AND runs.bead_id = wish.bead_id AND runs.state <> '{RunState.WITHDRAWN}'
    ), 0) AS attempt
    FROM moved JOIN wish USING (step_id) JOIN free ON free.id = wish.agent_id
),
reserved AS (
    UPDATE agents SET state = {guard.target(schema.agents, AgentEvent.RESERVE)} FROM taken
    WHERE agents.id = taken.agent_id
),
opened AS (
    INSERT INTO steps (id, project_id, bead_id, size, state, created_at)
    SELECT step_id, project_id, bead_id, count(*), '{StepState.OPEN}', :now FROM taken
    GROUP BY step_id, project_id, bead_id
),
claimed AS (
    INSERT INTO runs (id, step_id, position, project_id, bead_id, role, attempt, timeout_seconds, writes_branch, state,
                      agent_id, agent_name, incarnation_id, base_sha, provider, created_at)
    SELECT run_id, step_id, position, project_id, bead_id, role, attempt, timeout_seconds,
           position = 0 AND NOT reads,
           '{RunState.PENDING}', agent_id, agent_name, incarnation_id, head_sha, provider, :now
    FROM taken
    RETURNING *
),
told AS (
    INSERT INTO events (at, kind, project_id, bead_id, run_id, data)
    SELECT :now, 'run.claimed', project_id, bead_id, run_id,
           jsonb_strip_nulls(jsonb_build_object(
               'attempt', attempt, 'role', role, 'agent', agent_id, 'reason', reason, 'provider', NULLIF(provider, '')
           ))
    FROM taken ORDER BY run_id
)
SELECT * FROM claimed ORDER BY step_id, position
"""
)


def claim(tx: Transaction, placements: Sequence[Placement], moment: datetime) -> list[Handover]:
    """Write each placement that can be had at `moment`, and return what goes to the bus for those that were."""
    wishes = {StepId(uuid7()): placement for placement in _compatible(placements)}
    if not wishes:
        return []
    rows = tx.run(_CLAIM, **_columns(wishes), now=moment)
    claimed: dict[StepId, list[Any]] = {}
    for row in rows:
        claimed.setdefault(StepId(row.step_id), []).append(row)
    return [
        Handover(
            step_id=step_id,
            project_id=ProjectId(placement.bead.project_id),
            tasks=tuple(task_message(run) for run in claimed[step_id]),
            agents=tuple(agent.id for agent in placement.agents),
            reason=placement.reason,
            provider=placement.provider,
        )
        for step_id, placement in wishes.items()
        if step_id in claimed
    ]


def _compatible(placements: Sequence[Placement]) -> list[Placement]:
    """Return the placements without those that want a bead or an agent that an earlier one wants."""
    wanted: set[Any] = set()
    compatible = []
    for placement in placements:
        wants = {placement.bead, *(agent.id for agent in placement.agents)}
        if wanted.isdisjoint(wants):
            wanted |= wants
            compatible.append(placement)
    return compatible


def _columns(wishes: dict[StepId, Placement]) -> dict[str, list[Any]]:
    runs = [
        (step_id, placement, position, agent)
        for step_id, placement in wishes.items()
        for position, agent in enumerate(placement.agents)
    ]
    return {
        "projects": [placement.bead.project_id for _, placement, _, _ in runs],
        "beads": [placement.bead.bead_id for _, placement, _, _ in runs],
        "steps": [step_id for step_id, _, _, _ in runs],
        "runs": [uuid7() for _ in runs],
        "positions": [position for _, _, position, _ in runs],
        "agents": [agent.id for _, _, _, agent in runs],
        "roles": [placement.role for _, placement, _, _ in runs],
        "timeouts": [placement.timeout.total_seconds() for _, placement, _, _ in runs],
        "reasons": [placement.reason for _, placement, _, _ in runs],
        "reads": [placement.reads for _, placement, _, _ in runs],
        "providers": [placement.provider for _, placement, _, _ in runs],
    }


def task_message(run: Any) -> TaskMessage:
    """The order to start a run, made from its row."""
    return TaskMessage(
        run_id=run.id,
        step_id=run.step_id,
        project_id=run.project_id,
        bead_id=run.bead_id,
        role=run.role,
        attempt=run.attempt,
        timeout_seconds=run.timeout_seconds,
    )
