"""Whether work goes on: kept in the database, the same for every process. Source: SPEC, "Public names"."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from dispatch.dispatcher.parking import paused_reason
from dispatch.models.dispatching import Handover, Plan, StatusNote, StatusState, Supply, SystemStatus
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.readiness.reasons import nobody_idle

WHOLE_SYSTEM = ""
NOTHING_READY = "Nothing is ready for the agents that are idle."


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
        reason = plan.parked.get(project.id) or _why_idle(supply, plan)
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
    if not supply.projects:
        return "There is no such project, or none at all."
    if not supply.paused and all(project.id in plan.parked for project in supply.projects):
        return _parked(supply.projects, plan)
    held_back = [project for project in supply.projects if project.id in plan.parked and not project.paused]
    reason = _why_idle(supply, plan)
    return _parked(held_back, plan) if held_back and reason == NOTHING_READY else reason


def _why_idle(supply: Supply, plan: Plan) -> str:
    """Say why nothing more of the projects that are not parked could go."""
    if supply.paused:
        return paused_reason(supply.pause_reason)
    if not supply.served_roles:
        return "No worker with agents is alive."
    if not supply.agents:
        return nobody_idle(supply)
    return plan.refusals[0].reason if plan.refusals else NOTHING_READY


def _parked(projects: Sequence[Project], plan: Plan) -> str:
    """Tell the reason of the first of some parked projects, and its name where others have other reasons."""
    reasons = [plan.parked[project.id] for project in projects]
    return reasons[0] if len(set(reasons)) == 1 else f"{projects[0].id}: {reasons[0]}"
