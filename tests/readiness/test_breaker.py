"""What counts as a cause, and when a breaker is open."""

from datetime import UTC, datetime, timedelta

import pytest

from dispatch.models.guarding import FailureRow
from dispatch.models.identity import ProjectId
from dispatch.models.outcome import (
    Cancelled,
    Completed,
    Failed,
    Looped,
    Lost,
    NeedsInput,
    Outcome,
    TimedOut,
    counts_as_failure,
)
from dispatch.readiness.breaker import cause_of, ends_row, open_breaker
from dispatch.settings import GuardSettings

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
SHOP = ProjectId("shop")
GUARDS = GuardSettings(breaker_failures=3, cooldown=(timedelta(seconds=1), timedelta(minutes=2)))
OUTCOMES: list[tuple[Outcome, str | None, bool]] = [
    (Failed(cause="exit 1"), "exit 1", False),
    (Failed(cause="  first line\nsecond"), "first line", False),
    (Failed(cause=""), "failed", False),
    (Failed(cause="x" * 1000), "x" * 200, False),
    (TimedOut(limit_seconds=5), "timed out", False),
    (Looped(reason="again"), "stopped in a loop", False),
    (Completed(), None, True),
    (NeedsInput(question="Which?"), None, True),
    (Cancelled(cause="cancel"), None, False),
    (Lost(), None, False),
]


@pytest.mark.parametrize(("outcome", "cause", "ends"), OUTCOMES)
def test_each_outcome_lengthens_a_row_ends_it_or_says_nothing(outcome: Outcome, cause: str | None, ends: bool) -> None:
    assert cause_of(outcome) == cause
    assert ends_row(outcome) is ends
    assert (cause is not None) is counts_as_failure(outcome)


def _row(failures: int) -> FailureRow:
    return FailureRow(cause="exit 1", failures=failures, last_at=NOON)


@pytest.mark.parametrize("row", [None, _row(2)])
def test_a_short_row_or_none_leaves_it_closed(row: FailureRow | None) -> None:
    assert open_breaker(SHOP, row, GUARDS) is None


def test_an_open_one_lets_one_bead_go_when_the_longest_cooldown_is_over() -> None:
    breaker = open_breaker(SHOP, _row(3), GUARDS)
    assert breaker is not None
    due = NOON + timedelta(minutes=2)
    assert not breaker.lets_probe(due - timedelta(microseconds=1), 0)
    assert breaker.lets_probe(due, 0)
    assert not breaker.lets_probe(due, 1)


def test_its_reason_says_what_comes_next() -> None:
    breaker = open_breaker(SHOP, _row(4), GUARDS)
    assert breaker is not None
    begin = "The last 4 runs of shop failed for the same cause (exit 1): "
    end = ", and `dispatch resume shop` lets all go."
    assert breaker.reason(NOON, 0) == f"{begin}one bead is tried from 2026-09-25 12:02:00 UTC on{end}"
    assert breaker.reason(breaker.probe_from, 0) == f"{begin}one bead is tried next{end}"
    assert breaker.reason(breaker.probe_from, 1) == f"{begin}one bead is being tried{end}"
