"""Who could work now, and what is open: one statement a round."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dispatch.models.agent import LOCAL_POOL, Agent
from dispatch.models.dispatching import StatusNote, StatusState, Supply
from dispatch.models.identity import AgentId, IncarnationId, ProjectId
from dispatch.models.states import OPEN_RUN_STATES, AgentState
from dispatch.store import guarding, providers, records
from dispatch.store.guard import states
from dispatch.store.transaction import Transaction
from dispatch.store.written import written

_SUPPLY = f"""
WITH fresh AS (
    SELECT id, roles, agents, node, trouble, trouble <> '' AS troubled FROM incarnations
    WHERE NOT gone AND NOT stopping AND heartbeat_at > :alive_since
      AND CASE WHEN CAST(:within AS uuid) IS NULL THEN pool <> '{LOCAL_POOL}' ELSE id = CAST(:within AS uuid) END
),
idle AS (
    SELECT agents.id, agents.name, agents.state, agents.incarnation_id, fresh.roles, agents.last_used_at
    FROM agents JOIN fresh ON fresh.id = agents.incarnation_id
    WHERE agents.state = '{AgentState.IDLE}' AND NOT fresh.troubled
    {{lock}}
)
SELECT
    (
        SELECT json_object_agg(role, agents) FROM (
            SELECT role, sum(agents) AS agents FROM fresh, unnest(roles) AS role GROUP BY role
        ) AS able
    ) AS able,
    (SELECT json_agg(idle ORDER BY last_used_at NULLS FIRST, name) FROM idle) AS agents,
    (
        SELECT json_agg(json_build_array(project_id, role, runs)) FROM (
            SELECT project_id, role, count(*) AS runs FROM runs WHERE state IN {states(OPEN_RUN_STATES)}
            GROUP BY project_id, role
        ) AS in_use
    ) AS in_use,
    (
        SELECT json_agg(projects ORDER BY number) FROM projects
        WHERE CAST(:project AS text) IS NULL OR id = CAST(:project AS text)
    ) AS projects,
    (SELECT json_object_agg(node, trouble) FROM fresh WHERE troubled AND agents > 0) AS troubles,
    (SELECT json_agg(statuses) FROM statuses) AS statuses,
    (SELECT json_agg(readiness) FROM readiness) AS readiness,
    (SELECT json_agg(failure_rows) FROM failure_rows) AS failing,
    (
        SELECT json_agg(json_build_array(project_id, CAST(usd AS text), tokens_in, tokens_out)) FROM spending
        WHERE day = CAST(:today AS date)
    ) AS spent,
    ({{providers}}) AS providers,
    ticker.paused, ticker.pause_reason, ticker.paused_roles, ticker.wanted
FROM ticker
"""
_LOOK = written(_SUPPLY.format(providers=providers.AS_JSON, lock=""))
_TAKE = written(_SUPPLY.format(providers=providers.AS_JSON, lock="FOR UPDATE OF agents SKIP LOCKED"))


def supply(
    tx: Transaction,
    moment: datetime,
    *,
    lease: timedelta,
    within: IncarnationId | None,
    project_id: ProjectId | None,
    lock: bool,
) -> Supply:
    """Read the supply of a project, or of all. With `lock` the idle agents stay as they are until the transaction ends.

    Workers not heard of for `lease` do not count; with `within`, only that one does.
    """
    (row,) = tx.run(
        _TAKE if lock else _LOOK,
        alive_since=moment - lease,
        within=within,
        project=project_id,
        today=guarding.day_of(moment),
    )
    by_role: dict[str, int] = {}
    by_project: dict[ProjectId, int] = {}
    for project, role, runs in row.in_use or ():
        by_role[role] = by_role.get(role, 0) + runs
        by_project[ProjectId(project)] = by_project.get(ProjectId(project), 0) + runs
    return Supply(
        agents=tuple(_agent(facts) for facts in row.agents or ()),
        served_roles=frozenset(row.able or ()),
        agents_by_role=row.able or {},
        open_by_role=by_role,
        open_by_project=by_project,
        projects=tuple(records.project_of(facts) for facts in row.projects or ()),
        noted=frozenset(_note(facts) for facts in row.statuses or ()),
        paused=row.paused,
        pause_reason=row.pause_reason,
        paused_roles=row.paused_roles,
        wanted=row.wanted,
        now=moment,
        readiness=guarding.readiness_of(row.readiness),
        failing=guarding.failing_of(row.failing),
        spent=guarding.spent_of(row.spent),
        providers=providers.records_of(row.providers),
        troubles=row.troubles or {},
    )


def _agent(facts: dict[str, Any]) -> Agent:
    return Agent(
        id=AgentId(UUID(facts["id"])),
        name=facts["name"],
        roles=tuple(facts["roles"]),
        state=AgentState(facts["state"]),
        incarnation_id=IncarnationId(UUID(facts["incarnation_id"])),
        last_used_at=records.moment(facts["last_used_at"]),
    )


def _note(facts: dict[str, Any]) -> StatusNote:
    return StatusNote(scope=facts["scope"], state=StatusState(facts["state"]), reason=facts["reason"])
