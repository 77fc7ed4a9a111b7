"""What a human can decide, and what is recommended, as tables."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from dispatch.escalation import offer
from dispatch.models.decision import EscalationKind, Option
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.run import ErrorRecord
from dispatch.models.settling import Escalation

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
ALL = {Option.RETRY, Option.RAISE_LIMIT, Option.REASSIGN, Option.SPLIT, Option.CLOSE}
COMMITS = CommitRange("a1", "b2", 2)
SAME = ("failed: tests\n3.1 s", "failed: tests\n3.2 s", "failed: tests\n3.3 s")
OTHERS = ("failed: build", "failed: tests", "failed: lint")
LATE = ("timed out after 60 s", "timed out after 60 s\nIt ran.", "timed out after 90 s")


def _escalation(kind: EscalationKind, errors: Sequence[str] = (), commits: CommitRange = NO_COMMITS) -> Escalation:
    records = tuple(ErrorRecord(timestamp=NOON, error=error, dispatch=n) for n, error in enumerate(errors, 1))
    return Escalation(kind=kind, reason="r", title="T", body="B", errors=records, commits=commits)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (EscalationKind.FAILED, ALL),
        (EscalationKind.LOOPING, ALL),
        (EscalationKind.LIMIT, ALL),
        (EscalationKind.RETURNED, ALL),
        (EscalationKind.PING_PONG, ALL - {Option.RAISE_LIMIT}),
        (EscalationKind.QUESTION, {Option.ANSWER, Option.REASSIGN, Option.SPLIT, Option.CLOSE}),
        (EscalationKind.UNSETTLED, {Option.RETRY, Option.CLOSE}),
    ],
)
def test_the_options_are_those_of_the_kind(kind: EscalationKind, options: set[Option]) -> None:
    assert set(offer(_escalation(kind)).options) == options


@pytest.mark.parametrize(
    ("kind", "errors", "commits", "earlier", "recommended"),
    [
        (EscalationKind.QUESTION, SAME, COMMITS, (Option.ANSWER,), Option.ANSWER),
        (EscalationKind.UNSETTLED, SAME, COMMITS, (Option.RETRY,), Option.RETRY),
        (EscalationKind.LIMIT, SAME, COMMITS, (), Option.SPLIT),
        (EscalationKind.PING_PONG, SAME, COMMITS, (Option.RETRY,), Option.REASSIGN),
        (EscalationKind.FAILED, SAME, NO_COMMITS, (), Option.RETRY),
        (EscalationKind.FAILED, SAME, COMMITS, (), Option.RETRY),
        (EscalationKind.FAILED, OTHERS, COMMITS, (), Option.RAISE_LIMIT),
        (EscalationKind.FAILED, OTHERS, NO_COMMITS, (), Option.RETRY),
        (EscalationKind.FAILED, OTHERS[:2], COMMITS, (), Option.RETRY),
        (EscalationKind.FAILED, ("failed: x", *LATE), COMMITS, (), Option.SPLIT),
        (EscalationKind.FAILED, (*LATE, "failed: x"), NO_COMMITS, (), Option.RETRY),
        (EscalationKind.FAILED, SAME, COMMITS, (Option.RETRY,), Option.REASSIGN),
        (EscalationKind.FAILED, OTHERS, COMMITS, (Option.ANSWER,), Option.REASSIGN),
        (EscalationKind.FAILED, SAME, COMMITS, (Option.RETRY, Option.REASSIGN), Option.SPLIT),
        (EscalationKind.FAILED, OTHERS, COMMITS, (Option.RAISE_LIMIT,), Option.RAISE_LIMIT),
        (EscalationKind.LOOPING, OTHERS, COMMITS, (), Option.RETRY),
        (EscalationKind.LOOPING, LATE, COMMITS, (), Option.SPLIT),
        (EscalationKind.LOOPING, (), NO_COMMITS, (Option.RETRY,), Option.REASSIGN),
        (EscalationKind.RETURNED, (), NO_COMMITS, (), Option.RETRY),
    ],
)
def test_what_is_recommended_follows_from_the_facts(
    kind: EscalationKind,
    errors: Sequence[str],
    commits: CommitRange,
    earlier: Sequence[Option],
    recommended: Option,
) -> None:
    made = offer(_escalation(kind, errors, commits), earlier)
    assert made.recommended is recommended
    assert recommended in made.options
    assert made.why


@pytest.mark.parametrize("kind", EscalationKind)
def test_nothing_is_recommended_that_is_not_offered(kind: EscalationKind) -> None:
    for earlier in ((), (Option.RETRY,), (Option.REASSIGN,), (Option.SPLIT,)):
        made = offer(_escalation(kind, SAME, COMMITS), earlier)
        assert made.recommended in made.options
        assert Option.MOOT not in made.options
