"""Which bead goes to which agent: plain functions over what a round found. Source: PROTOCOL, rules 5 and 8."""

from collections import Counter
from collections.abc import Sequence

from dispatch.models.agent import Agent
from dispatch.models.dispatching import Candidate, Lane, Placement, Plan, Refusal, Supply
from dispatch.models.project import Project
from dispatch.settings import Settings, normal_name


def lanes(supply: Supply, settings: Settings, limit: int | None = None) -> list[Lane]:
    """Say which stretches of the dispatch index a round looks at: a busy role hides nobody, and none is read in vain.

    For each project that is not paused, one lane a role (and alias) with idle agents, and one for the beads that name
    no role. None of them is longer than the agents it could feed.
    """
    if supply.paused:
        return []
    found = []
    for project in supply.projects:
        if project.paused:
            continue
        for role in sorted({role for agent in supply.agents for role in agent.roles}):
            able = sum(role in agent.roles for agent in supply.agents)
            for hint in (role, *map(normal_name, settings.role(role).aliases)):
                found.append(Lane(project_id=project.id, hint=hint, role=role, limit=_least(able, limit)))
        unhinted = default_lane(project, supply, settings, limit)
        if unhinted is not None:
            found.append(unhinted)
    return found


def default_lane(project: Project, supply: Supply, settings: Settings, limit: int | None = None) -> Lane | None:
    """Return the lane of beads that name no role: for the project's default role, or any agent if nobody serves it."""
    role = default_role(project, supply, settings)
    able = sum(role is None or role in agent.roles for agent in supply.agents)
    return Lane(project_id=project.id, hint="", role=role, limit=_least(able, limit)) if able else None


def default_role(project: Project, supply: Supply, settings: Settings) -> str | None:
    """Return the project's default role when a live worker serves it, busy or not; None: any will do."""
    role = settings.resolve_role(settings.project(project.id).default_role)
    return role if role in supply.served_roles else None


def choose(candidates: Sequence[Candidate], supply: Supply, settings: Settings, limit: int | None = None) -> Plan:
    """Give candidates to agents: by priority, then oldest first; to each the agent that rested longest.

    A candidate that gets none is refused with the cap that was in its way; one that only found all agents taken is
    not: it was simply not its turn.
    """
    idle = list(supply.agents)
    in_use = Counter(supply.open_by_role)
    placements: list[Placement] = []
    refusals: list[Refusal] = []
    for candidate in sorted(candidates, key=_dispatch_order):
        if limit is not None and len(placements) >= limit:
            break
        seat = _first_seat(idle, candidate.lane.role, in_use, settings)
        if seat is None:
            continue
        if isinstance(seat, str):
            refusals.append(Refusal(bead=candidate.bead.key, reason=seat))
            continue
        agent, role = seat
        idle.remove(agent)
        in_use[role] += 1
        placements.append(_place(candidate, agent, role, settings))
    return Plan(placements=tuple(placements), refusals=tuple(refusals))


def _place(candidate: Candidate, agent: Agent, role: str, settings: Settings) -> Placement:
    bead, lane = candidate.bead, candidate.lane
    if lane.hint:
        reason = f"It asks for the role {role}."
    elif lane.role:
        reason = f"It names no role; {role} is the project's default."
    else:
        reason = "It names no role and nobody serves the project's default, so any agent may take it."
    timeout = settings.task_timeout(bead.project_id, role, candidate.timeout)
    return Placement(bead=bead.key, agents=(agent,), role=role, timeout=timeout, reason=reason)


def _dispatch_order(candidate: Candidate) -> tuple[int, float, str]:
    bead = candidate.bead
    return bead.priority, bead.created_at.timestamp() if bead.created_at else 0.0, bead.id


def _first_seat(
    idle: Sequence[Agent], wanted: str | None, in_use: Counter[str], settings: Settings
) -> tuple[Agent, str] | str | None:
    """Return the first agent that may work, and in which role; else the cap in the way, or None when nobody is able."""
    in_the_way = None
    for agent in idle:
        for role in agent.roles if wanted is None else (wanted,):
            if role in agent.roles:
                cap = _cap(role, in_use, settings)
                if cap is None:
                    return agent, role
                in_the_way = in_the_way or cap
    return in_the_way


def _cap(role: str, in_use: Counter[str], settings: Settings) -> str | None:
    slots, max_running = settings.role(role).slots, settings.dispatch.max_running
    if slots and in_use[role] >= slots:
        return f"The role {role} has all its slots in use (slots = {slots})."
    if max_running and in_use.total() >= max_running:
        return f"As many runs as allowed are open (max_running = {max_running})."
    return None


def _least(able: int, limit: int | None) -> int:
    return able if limit is None else min(able, limit)
