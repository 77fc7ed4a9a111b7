"""Decisions that nobody makes are announced again. Source: SPEC, "Escalation and decisions"."""

from typing import Protocol

import structlog

from dispatch.models.decision import Decision
from dispatch.models.identity import BeadKey

log = structlog.get_logger(__name__)


class WaitingDecisions(Protocol):
    """What it needs of the store."""

    def end_moot(self) -> list[BeadKey]: ...
    def announce(self) -> list[Decision]: ...


def announce_decisions(decisions: WaitingDecisions) -> int:
    """Announce again what has waited too long for a human; return how many. Those about beads that are done end."""
    decisions.end_moot()
    announced = decisions.announce()
    for decision in announced:
        log.warning(
            "a decision waits for a human",
            decision=str(decision.key),
            bead=str(decision.bead_key),
            reason=decision.reason,
            since=decision.opened_at.isoformat(),
            announcement=decision.announcements,
            cure=f"dispatch inbox {decision.key}",
        )
    return len(announced)
