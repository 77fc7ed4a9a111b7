"""Outcomes as values: there and back, and what counts as what."""

import pytest
from pydantic import ValidationError

from dispatch.models.outcome import (
    OUTCOME,
    Cancelled,
    Completed,
    Failed,
    Looped,
    Lost,
    NeedsInput,
    Outcome,
    TimedOut,
    counts_as_failure,
    counts_as_hop,
    error_text,
)

ALL: list[tuple[Outcome, bool, bool, str | None]] = [
    (Completed(summary="Done."), True, False, None),
    (Completed(nothing_to_do=True), True, False, None),
    (Failed(cause="tests", summary="Red.", output="1 failed"), True, True, "failed: tests\nRed.\n1 failed"),
    (Failed(cause="no_change"), True, True, "failed: no_change"),
    (TimedOut(limit_seconds=1800), True, True, "timed out after 1800 s"),
    (TimedOut(limit_seconds=0.5, summary="Stopped."), True, True, "timed out after 0.5 s\nStopped."),
    (Looped(reason="the same read 3 times"), True, True, "stopped in a loop: the same read 3 times"),
    (NeedsInput(question="Which colour?"), False, False, None),
    (Cancelled(cause="handback"), False, False, None),
    (Lost(), False, False, None),
]


@pytest.mark.parametrize(("outcome", "hop", "failure", "error"), ALL)
def test_each_outcome_says_what_it_counts_as(outcome: Outcome, hop: bool, failure: bool, error: str | None) -> None:
    assert counts_as_hop(outcome) is hop
    assert counts_as_failure(outcome) is failure
    assert error_text(outcome) == error


@pytest.mark.parametrize("outcome", [outcome for outcome, *_ in ALL])
def test_an_outcome_comes_back_from_json_as_it_went(outcome: Outcome) -> None:
    assert OUTCOME.validate_json(OUTCOME.dump_json(outcome)) == outcome


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "finished"},
        {"summary": "no kind"},
        {"kind": "failed"},
        {"kind": "lost", "cause": "a field that it does not have"},
    ],
)
def test_what_is_no_outcome_is_refused(document: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        OUTCOME.validate_python(document)
