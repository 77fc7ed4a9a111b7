"""Which bead goes to which agent: plain functions over what a round found. Source: PROTOCOL, rules 5 and 8."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dispatch.dispatcher.modelling import ModelSupply
from dispatch.models.agent import Agent
from dispatch.models.dispatching import Candidate, Lane, Placement, Plan, Refusal, Supply
from dispatch.models.identity import ProjectId
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.readiness.reasons import role_pause
from dispatch.routing import role_of_persona
from dispatch.settings import Settings, normal_name

QA = "qa-engineer"
"""The persona that sorts what nothing else does. Source: SPEC, "Routing"."""


def lanes(supply: Supply, settings: Settings, limit: int | None = None) -> list[Lane]:
    """Say which stretches of the dispatch index a round looks at: a busy role hides nobody, and none is read in vain.

    For each project that is not paused, one lane a role (and alias) with idle agents, one for the beads that name no
    role, and one for the bugs that nothing sorts. None of them is longer than the agents it could feed, and there is
    none for a role that is paused.
    """
    if supply.paused:
        return []
    found = []
    for project in supply.projects:
        if project.paused:
            continue
        for role in sorted({role for agent in supply.agents for role in _going(agent, supply)}):
            able = sum(role in agent.roles for agent in supply.agents)
            for hint in (role, *map(normal_name, settings.role(role).aliases)):
                found.append(Lane(project_id=project.id, hint=hint, role=role, limit=_least(able, limit)))
        found += _unhinted_lanes(project.id, supply, settings, limit)
    return found


def _unhinted_lanes(project_id: ProjectId, supply: Supply, settings: Settings, limit: int | None) -> Iterator[Lane]:
    """Yield the lanes of beads that name no role, for those whom somebody idle can take."""
    for hint in ("", UNCLEAR_BUG):
        role = role_for(hint, project_id, supply, settings)
        able = sum(bool(_going(agent, supply)) if role is None else role in agent.roles for agent in supply.agents)
        if able and role not in supply.paused_roles:
            yield Lane(project_id=project_id, hint=hint, role=role, limit=_least(able, limit))


def _going(agent: Agent, supply: Supply) -> Sequence[str]:
    """Return the roles in which an agent may begin something now."""
    paused = supply.paused_roles
    return [role for role in agent.roles if role not in paused] if paused else agent.roles


def role_for(hint: str, project_id: ProjectId, supply: Supply, settings: Settings) -> str | None:
    """Return the role whose agents take the beads with a hint; None: any will do.

    Those without one are for the project's default role if a live worker serves it, busy or not; before that a bug that
    nothing sorts is for QA, if that is served.
    """
    if hint not in ("", UNCLEAR_BUG):
        return settings.resolve_role(hint)
    wanted = [QA] if hint else []
    for persona in (*wanted, settings.project(project_id).default_role):
        role = role_of_persona(normal_name(persona), settings)
        if role in supply.served_roles:
            return role
    return None


def fallback_lanes(looked_at: Sequence[Lane]) -> list[Lane]:
    """Return a lane for any agent for each project that a round looks at: for beads whose role nobody serves."""
    longest: dict[ProjectId, Lane] = {}
    for lane in looked_at:
        if lane.project_id not in longest or lane.limit > longest[lane.project_id].limit:
            longest[lane.project_id] = lane
    return [replace(lane, hint="", role=None) for lane in longest.values()]


def answered_hints(supply: Supply, settings: Settings) -> frozenset[str]:
    """Return the hints that live workers answer, busy or not, and those of paused roles: they are waited for."""
    roles = supply.served_roles | supply.paused_roles.keys()
    aliases = (normal_name(alias) for role in roles for alias in settings.role(role).aliases)
    return roles | {"", UNCLEAR_BUG, *aliases}


def choose(candidates: Sequence[Candidate], supply: Supply, settings: Settings, limit: int | None = None) -> Plan:
    """Give candidates to agents: by priority, then oldest first; to each the agents that rested longest.

    A candidate that gets none is refused with what was in its way: a cap, or providers that are down. One that only
    found all agents taken is not: it was simply not its turn. One that needs several keeps those that are idle from the
    candidates behind it until there are enough, or smaller ones would pass it for ever.
    """
    idle = list(supply.agents)
    in_use = Counter(supply.open_by_role)
    models = ModelSupply(supply, settings)
    placements: list[Placement] = []
    refusals: list[Refusal] = []
    for candidate in sorted(candidates, key=_dispatch_order):
        if limit is not None and len(placements) >= limit:
            break
        seat = _first_seat(idle, candidate.lane.role, in_use, supply, settings, models)
        if seat is None:
            continue
        if isinstance(seat, str):
            refusals.append(Refusal(bead=candidate.bead.key, reason=seat))
            continue
        agent, role = seat
        needed = _size(candidate, role, supply, settings)
        agents = [agent] if needed == 1 else _several(idle, role, needed, in_use, settings)
        idle = [other for other in idle if other not in agents]
        if len(agents) < needed:
            refusals.append(Refusal(bead=candidate.bead.key, reason=_gathers(role, needed, len(agents))))
            continue
        in_use[role] += needed
        placements.append(_place(candidate, agents, role, settings, models.take(role, candidate.bead)))
    return Plan(placements=tuple(placements), refusals=tuple(refusals))


def _size(candidate: Candidate, role: str, supply: Supply, settings: Settings) -> int:
    """Return how many runs the next step of a bead has: as many as it asks for, if there can ever be so many."""
    caps = (supply.agents_by_role.get(role, 1), settings.role(role).slots, settings.dispatch.max_running)
    return max(1, min(candidate.bead.step_size, *(cap for cap in caps if cap)))


def _several(idle: Sequence[Agent], role: str, needed: int, in_use: Counter[str], settings: Settings) -> list[Agent]:
    """Return idle agents of a role, at most as many as are needed, and as may be at work besides those in use."""
    slots, max_running = settings.role(role).slots, settings.dispatch.max_running
    room = min(
        needed,
        slots - in_use[role] if slots else needed,
        max_running - in_use.total() if max_running else needed,
    )
    return [agent for agent in idle if role in agent.roles][: max(0, room)]


def _gathers(role: str, needed: int, found: int) -> str:
    return f"Its step needs {needed} agents of the role {role} at once, and {found} of them may begin now."


def _place(candidate: Candidate, agents: Sequence[Agent], role: str, settings: Settings, provider: str) -> Placement:
    bead = candidate.bead
    reason = " ".join(filter(None, (bead.role_reason, _why_there(candidate, role, settings))))
    timeout = settings.task_timeout(bead.project_id, role, bead.node_timeout or candidate.timeout)
    return Placement(
        bead=bead.key,
        agents=tuple(agents),
        role=role,
        timeout=timeout,
        reason=reason,
        reads=bead.step_reads,
        provider=provider,
    )


def _why_there(candidate: Candidate, role: str, settings: Settings) -> str:
    """Say what the bead's own words leave open about its role."""
    lane = candidate.lane
    if lane.hint not in ("", UNCLEAR_BUG):
        if lane.role is None:
            return f"Nobody serves the role {lane.hint}, so any agent may take it."
        return "" if candidate.bead.role_reason else f"It asks for the role {role}."
    if lane.hint and role == role_of_persona(QA, settings):
        return f"{role} sorts such bugs."
    named = "Nobody serves QA" if lane.hint else "It names no role"
    if lane.role is None:
        return f"{named} and nobody serves the project's default, so any agent may take it."
    return f"{named}; {role} is the project's default."


def _dispatch_order(candidate: Candidate) -> tuple[int, float, str]:
    bead = candidate.bead
    return bead.priority, bead.created_at.timestamp() if bead.created_at else 0.0, bead.id


def _first_seat(
    idle: Sequence[Agent],
    wanted: str | None,
    in_use: Counter[str],
    supply: Supply,
    settings: Settings,
    models: ModelSupply,
) -> tuple[Agent, str] | str | None:
    """Return the first agent that may work, and in which role; else what is in the way, or None when nobody is able."""
    in_the_way = None
    for agent in idle:
        for role in agent.roles if wanted is None else (wanted,):
            if role in agent.roles:
                cap = role_pause(role, supply.paused_roles) or _cap(role, in_use, settings) or models.obstacle(role)
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
