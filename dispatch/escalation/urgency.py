"""In which order a human should look at what waits for him."""

from collections.abc import Iterable

from dispatch.models.decision import InboxEntry


def most_urgent_first(entries: Iterable[InboxEntry]) -> list[InboxEntry]:
    """Order decisions by the priority of their beads, then by how many beads wait for those, then the oldest first."""
    return sorted(
        entries,
        key=lambda entry: (
            entry.priority,
            -len(entry.dependents),
            entry.decision.opened_at,
            entry.decision.project_id,
            entry.decision.decision_id,
        ),
    )
