"""Whether work goes on: kept in the database, the same for every process. Source: SPEC, "Public names"."""

from datetime import UTC, datetime
from typing import Protocol

from dispatch.models.dispatching import Plan, StatusState, Supply, SystemStatus
from dispatch.models.identity import ProjectId

WHOLE_SYSTEM = ""


class StatusRecords(Protocol):
    """What is needed of the store."""

    def count_open_runs(self, project_id: ProjectId | None = None) -> int: ...
    def record_status(self, scope: str, state: StatusState, reason: str) -> None: ...
    def read_status(self, scope: str) -> SystemStatus | None: ...


class StatusKeeper:
    """Notes after each round who is active and who is parked, and why."""

    def __init__(self, records: StatusRecords) -> None:
        self._records = records

    def note(self, supply: Supply, plan: Plan, *, whole: bool) -> str:
        """Write the state of each project that was looked at; return why nothing more could go.

        That is the state of the system, too, when the `whole` of it was looked at; else only that something runs is.
        """
        parked = why_parked(supply, plan)
        running = self._records.count_open_runs()
        if whole or running:
            self._note(WHOLE_SYSTEM, running, parked)
        for project in supply.projects:
            reason = _paused(project.pause_reason) if project.paused else parked
            self._note(project.id, self._records.count_open_runs(project.id), reason)
        return parked

    def _note(self, scope: str, running: int, parked: str) -> None:
        if running:
            self._records.record_status(scope, StatusState.ACTIVE, f"{running} run(s) open.")
        else:
            self._records.record_status(scope, StatusState.PARKED, parked)

    def read(self, project_id: ProjectId | None) -> SystemStatus:
        """Return what the last round noted."""
        noted = self._records.read_status(project_id or WHOLE_SYSTEM)
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
