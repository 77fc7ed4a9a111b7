"""In which order a human looks at what waits for him."""

from datetime import UTC, datetime, timedelta

from dispatch.escalation import most_urgent_first
from dispatch.models.decision import ANNOUNCE_AFTER, Decision, Dependent, InboxEntry, Offer, Option
from dispatch.models.identity import BeadId, ProjectId

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)


def _entry(name: str, *, priority: int = 2, dependents: int = 0, waiting: timedelta = timedelta()) -> InboxEntry:
    return InboxEntry(
        decision=Decision(
            project_id=ProjectId("shop"),
            decision_id=BeadId(name),
            bead_id=BeadId(f"{name}-bead"),
            reason="r",
            offer=Offer(options=(Option.RETRY,), recommended=Option.RETRY, why=""),
            opened_at=NOON - waiting,
        ),
        title=name,
        priority=priority,
        status="open",
        role="",
        hops=0,
        waiting=waiting,
        dependents=tuple(Dependent(id=BeadId(str(number)), title="") for number in range(dependents)),
    )


def test_priority_comes_first_then_who_waits_then_age() -> None:
    entries = [
        _entry("young"),
        _entry("old", waiting=timedelta(hours=9)),
        _entry("blocking", dependents=3),
        _entry("urgent", priority=0),
    ]
    assert [entry.title for entry in most_urgent_first(entries)] == ["urgent", "blocking", "old", "young"]


def test_equals_come_in_the_order_of_their_names() -> None:
    assert [entry.title for entry in most_urgent_first([_entry("b"), _entry("a")])] == ["a", "b"]


def test_what_waited_four_hours_is_overdue() -> None:
    assert not _entry("a", waiting=ANNOUNCE_AFTER - timedelta(seconds=1)).is_overdue
    assert _entry("a", waiting=ANNOUNCE_AFTER).is_overdue
