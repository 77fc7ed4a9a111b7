"""The lesson of a failure that a later run overcame."""

import pytest

from dispatch.lessons import has_overcome, overcome
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.models.settling import BeadEffect, Escalation
from dispatch.models.states import BeadEvent
from dispatch.models.workflow import Condition, WorkflowMove


def _bead(**fields: int) -> Bead:
    return Bead(id=BeadId("shop-1"), title="Upload in parts", **fields)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("failed: exit 1 at 2026-01-02T03:04:05Z", "failed: exit 1 at 2027-11-12T13:14:15Z"),
        ("AssertionError in /tmp/pytest-1/test_x.py, 0.31s", "AssertionError in /tmp/pytest-22/test_x.py, 12.9s"),
        (
            "lost run 0197b5a0-1111-7222-8333-444455556666 of pid 17",
            "lost run 0197b5a0-9999-7222-8333-444455556666 of pid 8",
        ),
        ("\x1b[31mobject at 0x7f3a2b1c is gone, you know\x1b[0m", "object at 0x11 is gone, you know"),
        ("cannot read commit 1a2b3c4d5e6f7a8b now", "cannot read commit ffee00112233445566 now"),
    ],
)
def test_what_differs_each_time_is_no_part_of_it(first: str, again: str) -> None:
    assert overcome(_bead(), first, "Done.") == overcome(_bead(), again, "Done.")


def test_it_says_what_failed_and_what_worked() -> None:
    draft = overcome(_bead(), "failed: tests\n\n2 failed: test_total, test_sum\nmore", "Rounded half even.")
    assert (draft.category, draft.title) == ("overcome", "failed: tests: 2 failed: test_total, test_sum")
    assert draft.detail.startswith("While working on: Upload in parts\nWhat failed:\nfailed: tests")
    assert draft.detail.endswith("What worked then:\nRounded half even.")


def test_a_silent_success_and_an_endless_error_make_a_lesson_too() -> None:
    draft = overcome(_bead(), "x" * 100_000, "")
    assert len(draft.title) <= 200
    assert len(draft.detail) < 2_000
    assert draft.detail.endswith("did not say.")


_MOVE = WorkflowMove(source="do", target="review", condition=Condition.SUCCESS)
_ASKS = Escalation(reason="r", title="t", body="b")


@pytest.mark.parametrize(
    ("bead", "effect", "is_one"),
    [
        ({"failures": 2}, {"event": BeadEvent.FINISH}, True),
        ({"failures": 2}, {"event": BeadEvent.LAND}, True),
        ({"hops": 6}, {"event": BeadEvent.FINISH}, True),
        ({}, {"event": BeadEvent.FINISH}, False),
        ({"failures": 2}, {"event": BeadEvent.AWAIT_LANDING, "failures": 2}, False),
        ({"failures": 2}, {"event": BeadEvent.RETURN, "failures": 2}, False),
        ({"failures": 4}, {"event": BeadEvent.RETURN, "error": "again", "escalation": _ASKS}, False),
        ({"hops": 6}, {"event": BeadEvent.RETURN}, False),
        ({"failures": 2}, {"event": BeadEvent.RETURN, "workflow": _MOVE}, True),
        ({"failures": 0, "hops": 3}, {"event": BeadEvent.RETURN, "workflow": _MOVE}, False),
    ],
)
def test_only_a_success_after_failures_is_one(bead: dict, effect: dict, is_one: bool) -> None:
    assert has_overcome(_bead(**bead), BeadEffect(reason="r", **effect)) is is_one
