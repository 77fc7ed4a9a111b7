"""Whether work goes on: kept in the database, the same for every process. Source: SPEC, "Public names"."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from dispatch.models.dispatching import Handover, Plan, StatusNote, StatusState, Supply, SystemStatus
from dispatch.models.identity import ProjectId

WHOLE_SYSTEM = ""


class StatusRecords(Protocol):
    """What is needed of the store."""

    def read_status(self, scope: str) -> SystemStatus | None: ...


def notes(supply: Supply, plan: Plan, handovers: Sequence[Handover], *, whole: bool) -> list[StatusNote]:
    """Say of each project that was looked at who is active and who is parked, and why, where that is news.

    That is said of the system, too, when the `whole` of it was looked at; else only that something runs is.
    """
    parked = why_parked(supply, plan)
    begun: Counter[ProjectId] = Counter()
    for handover in handovers:
        begun[handover.project_id] += len(handover.tasks)
    running = supply.open_runs + begun.total()
    found = [_note(WHOLE_SYSTEM, running, parked)] if whole or running else []
    for project in supply.projects:
        reason = _paused(project.pause_reason) if project.paused else parked
        found.append(_note(project.id, supply.open_by_project.get(project.id, 0) + begun[project.id], reason))
    return [note for note in found if note not in supply.noted]


def _note(scope: str, running: int, parked: str) -> StatusNote:
    if running:
        return StatusNote(scope=scope, state=StatusState.ACTIVE, reason="Runs are open.")
    return StatusNote(scope=scope, state=StatusState.PARKED, reason=parked)


def read(records: StatusRecords, project_id: ProjectId | None) -> SystemStatus:
    """Return what the last round noted."""
    noted = records.read_status(project_id or WHOLE_SYSTEM)
    if noted is not None:
        return noted
    never = datetime.fromtimestamp(0, UTC)
    return SystemStatus(state=StatusState.PARKED, reason="No tick has looked yet.", updated_at=never)


def why_parked(supply: Supply, plan: Plan) -> str:
    """Say why a round could dispatch no more than it did."""
    if supply.paused:
        return _paused(supply.pause_reason)
    if not supply.projects:
        return "There is no such project, or none at all."
    if all(project.paused for project in supply.projects):
        return _paused(supply.projects[0].pause_reason)
    if not supply.served_roles:
        return "No worker with agents is alive."
    if not supply.agents:
        return "All agents are busy."
    if plan.refusals:
        return plan.refusals[0].reason
    return "Nothing is ready for the agents that are idle."


def _paused(reason: str) -> str:
    return f"Paused: {reason.rstrip('.') or 'no reason given'}."
