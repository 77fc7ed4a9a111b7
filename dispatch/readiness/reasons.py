"""Why a bead is not going, in one sentence: what `dispatch why` says. Source: SPEC, "Dispatch"."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatch.models.bead import HUMAN_LABELS, NEVER_DISPATCHED_TYPES, Bead
from dispatch.models.dispatching import Supply
from dispatch.models.run import Run
from dispatch.models.states import BeadStatus
from dispatch.models.workflow import DONE

READY = "It is ready and goes with the next tick."


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known about a bead and its surroundings at one moment.

    `role` is the one it would go to, None: any. `blockers` are phrases. `run` is its open run, `held` whether a step of
    ours holds it. `any_from` is when any agent may take it if nobody serves its role; None: never.
    `unready`, `breaker` and `spent` are what its project's guards, and the caps on itself, say against it;
    `worth_knowing` is what they only show. `models` says why no provider of its role can be used.
    """

    bead: Bead
    now: datetime
    supply: Supply
    role: str | None
    blockers: Sequence[str]
    run: Run | None
    slots: int
    max_running: int
    any_from: datetime | None = None
    unready: str | None = None
    breaker: str | None = None
    spent: str | None = None
    models: str | None = None
    worth_knowing: Sequence[str] = ()


def explain(situation: Situation) -> str:
    """Say in one sentence where a bead stands, and why it is not further. The first reason that holds wins."""
    return next(_reasons(situation), READY)


def explain_all(situation: Situation) -> list[str]:
    """Say all that keeps a bead from going, in the order of the steps that ask, then what is only worth knowing."""
    reasons = list(_reasons(situation))
    told = reasons[:1] if _status(situation) else [*reasons, *situation.worth_knowing]
    return told if reasons else [READY, *told]


def _reasons(situation: Situation) -> Iterator[str]:
    """Ask in the order of SPEC, "Dispatch": first whether it is ready at all, then what a ready bead passes."""
    for rule in (
        _status,
        _held,
        _blocked,
        _deferred,
        _paused,
        lambda found: found.unready,
        _never,
        _in_workflow,
        _cooling,
        lambda found: found.breaker,
        lambda found: found.spent,
        _role_paused,
        _agents,
        _gathering,
        _caps,
        lambda found: found.models,
    ):
        reason = rule(situation)
        if reason:
            yield reason


def _status(situation: Situation) -> str | None:
    bead, run = situation.bead, situation.run
    if run is not None:
        return f"It is {run.state} as run {run.id} (attempt {run.attempt}) with {run.agent_name}."
    match bead.status:
        case BeadStatus.OPEN:
            return None
        case BeadStatus.CLOSED:
            return _sentence(f"It is closed: {bead.close_reason}") if bead.close_reason else "It is closed."
        case BeadStatus.LANDING:
            return bead.refusal or "Its work is done and waits to land on the target branch."
        case BeadStatus.IN_PROGRESS | BeadStatus.HOOKED:
            return f"Its tracker has it {bead.status}, but no run here holds it: `dispatch adopt {bead.key}` opens it."
        case BeadStatus.TOMBSTONE:
            return "It was deleted."
        case other:
            return f"Its status is {other}; only open beads are dispatched."


def _held(situation: Situation) -> str | None:
    bead = situation.bead
    if not bead.hold:
        return None
    return f"It is on hold: {bead.hold.rstrip().rstrip('.')}; `dispatch retry {bead.key}` lets it go on."


def _never(situation: Situation) -> str | None:
    bead = situation.bead
    human = sorted(HUMAN_LABELS & set(bead.labels))
    if bead.issue_type == "decision":
        return "It is a decision: only a human can settle it."
    if human:
        return f"Its label {human[0]!r} keeps it for a human."
    if bead.issue_type in NEVER_DISPATCHED_TYPES:
        return f"Beads of type {bead.issue_type} are not given to agents."
    if bead.pinned:
        return "It is pinned: it stays as a note."
    if bead.ephemeral:
        return "It is ephemeral: it is not work."
    return None


def _in_workflow(situation: Situation) -> str | None:
    bead = situation.bead
    if bead.workflow and not bead.node:
        return f"Its workflow {bead.workflow} begins with the next tick."
    if bead.node == DONE:
        return f"Its workflow {bead.workflow} is through; the next tick ends it."
    return None


def _blocked(situation: Situation) -> str | None:
    if not situation.bead.blocked:
        return None
    named = ", ".join(situation.blockers) or "itself, through a cycle of its blockers"
    return f"It waits for {named}."


def _deferred(situation: Situation) -> str | None:
    until = _waits_until(situation)
    return f"It is deferred until {until}." if until is not None and not situation.bead.failures else None


def _cooling(situation: Situation) -> str | None:
    until, failures = _waits_until(situation), situation.bead.failures
    return f"It cools down after {failures} failed run(s) until {until}." if until is not None and failures else None


def _waits_until(situation: Situation) -> str | None:
    ready_from = situation.bead.ready_from
    if ready_from is None or ready_from <= situation.now:
        return None
    return ready_from.strftime("%Y-%m-%d %H:%M:%S UTC")


def _paused(situation: Situation) -> str | None:
    supply = situation.supply
    if supply.paused:
        return _sentence(f"The system is paused: {supply.pause_reason or 'no reason given'}")
    for project in supply.projects:
        if project.id == situation.bead.project_id and project.paused:
            return _sentence(f"The project {project.id} is paused: {project.pause_reason or 'no reason given'}")
    return None


def _role_paused(situation: Situation) -> str | None:
    paused, role = situation.supply.paused_roles, situation.role
    if role is None:
        served = situation.supply.served_roles
        return "All roles that live workers serve are paused." if served and served <= paused.keys() else None
    return role_pause(role, paused)


def role_pause(role: str, paused: Mapping[str, str]) -> str | None:
    """Say that a role is one of those that are `paused`, and why; None: it is not."""
    return _sentence(f"The role {role} is paused: {paused[role] or 'no reason given'}") if role in paused else None


def _agents(situation: Situation) -> str | None:
    supply, role = situation.supply, situation.role
    if not supply.served_roles:
        return "No worker is alive: start one with `dispatch up` or the Celery command."
    if role is not None and role not in supply.served_roles:
        return _unserved(situation, role)
    if not any(role is None or role in agent.roles for agent in supply.agents):
        return nobody_idle(supply, role)
    return None


def nobody_idle(supply: Supply, role: str | None = None) -> str:
    """Say that all agents, or those of a role, are busy, and which workers are given nothing, and why."""
    agents = f"All agents of the role {role}" if role else "All agents"
    if not supply.troubles:
        return f"{agents} are busy."
    troubles = (f"{node} takes nothing: {trouble}" for node, trouble in sorted(supply.troubles.items()))
    return " ".join((f"{agents} are busy or cannot work.", *troubles))


def _unserved(situation: Situation, role: str) -> str:
    nobody, opened = f"No live worker serves the role {role}", situation.any_from
    if opened is None:
        return f"{nobody}: start one with `-Q role.{role}`."
    if opened > situation.now:
        return f"{nobody}; any agent may take it from {opened:%Y-%m-%d %H:%M:%S} UTC on."
    return f"{nobody}; it has waited for one, and any agent may take it now."


def _gathering(situation: Situation) -> str | None:
    supply, role = situation.supply, situation.role
    if role is None:
        return None
    needed = min(situation.bead.step_size, supply.agents_by_role.get(role, 1))
    idle = sum(role in agent.roles for agent in supply.agents)
    too_few = 0 < idle < needed
    return f"Its step needs {needed} agents of the role {role} at once; {idle} are idle." if too_few else None


def _caps(situation: Situation) -> str | None:
    supply, role = situation.supply, situation.role
    if situation.max_running and supply.open_runs >= situation.max_running:
        return f"As many runs as allowed are open (max_running = {situation.max_running})."
    if role and situation.slots and supply.open_by_role.get(role, 0) >= situation.slots:
        return f"The role {role} has all its slots in use (slots = {situation.slots})."
    return None


def _sentence(text: str) -> str:
    """End a text that may bring its own full stop with exactly one."""
    return f"{text.rstrip().rstrip('.')}."
