"""Why a bead is not going, in one sentence: what `dispatch why` says. Source: SPEC, "Dispatch"."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatch.models.bead import HUMAN_LABELS, NEVER_DISPATCHED_TYPES, Bead
from dispatch.models.dispatching import Supply
from dispatch.models.run import Run
from dispatch.models.states import BeadStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known about a bead and its surroundings at one moment.

    `role` is the one it would go to, None: any. `blockers` are phrases. `run` is its open run, `held` whether a step of
    ours holds it.
    """

    bead: Bead
    now: datetime
    supply: Supply
    role: str | None
    blockers: Sequence[str]
    run: Run | None
    slots: int
    max_running: int


def explain(situation: Situation) -> str:
    """Say in one sentence where a bead stands, and why it is not further. The first reason that holds wins."""
    for rule in (_status, _never, _blocked, _waiting, _paused, _agents, _caps):
        reason = rule(situation)
        if reason:
            return reason
    return "It is ready and goes with the next tick."


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


def _blocked(situation: Situation) -> str | None:
    if not situation.bead.blocked:
        return None
    named = ", ".join(situation.blockers) or "itself, through a cycle of its blockers"
    return f"It waits for {named}."


def _waiting(situation: Situation) -> str | None:
    bead = situation.bead
    if bead.ready_from is None or bead.ready_from <= situation.now:
        return None
    until = bead.ready_from.strftime("%Y-%m-%d %H:%M:%S UTC")
    if bead.failures:
        return f"It cools down after {bead.failures} failed run(s) until {until}."
    return f"It is deferred until {until}."


def _paused(situation: Situation) -> str | None:
    supply = situation.supply
    if supply.paused:
        return _sentence(f"The system is paused: {supply.pause_reason or 'no reason given'}")
    for project in supply.projects:
        if project.id == situation.bead.project_id and project.paused:
            return _sentence(f"The project {project.id} is paused: {project.pause_reason or 'no reason given'}")
    return None


def _agents(situation: Situation) -> str | None:
    supply, role = situation.supply, situation.role
    if not supply.served_roles:
        return "No worker is alive: start one with `dispatch up` or the Celery command."
    if role is not None and role not in supply.served_roles:
        return f"No live worker serves the role {role}: start one with `-Q role.{role}`."
    if not any(role is None or role in agent.roles for agent in supply.agents):
        return f"All agents of the role {role} are busy." if role else "All agents are busy."
    return None


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
