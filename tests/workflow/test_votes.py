"""What the runs of a node came to."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dispatch.models.identity import BeadId, ProjectId, RunId, StepId
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, Outcome, TimedOut
from dispatch.models.run import Run
from dispatch.models.workflow import Condition, Node, NodeKind, Quorum, Verdict, Votes
from dispatch.workflow.votes import MAX_SUMMARY, condition_of, reviews_of, votes_of

YES = Completed(verdict="approved", summary="Good.")
NO = Completed(verdict="rejected", summary="The test is missing.")
SILENT = Completed(summary="Done.")
FAILED, LOST = Failed(cause="exit 1"), Lost()
LATE = TimedOut(limit_seconds=60)


def run(outcome: Outcome, index: int = 0) -> Run:
    return Run(
        id=RunId(uuid4()),
        step_id=StepId(uuid4()),
        index=index,
        project_id=ProjectId("shop"),
        bead_id=BeadId("shop-1"),
        role="qa",
        attempt=1,
        timeout=timedelta(minutes=1),
        agent_name=f"agent {index}",
        outcome=outcome,
    )


def runs(*outcomes: Outcome) -> list[Run]:
    return [run(outcome, index) for index, outcome in enumerate(outcomes)]


def verify(quorum: Quorum = Quorum.MAJORITY, **fields: Any) -> Node:
    return Node(name="review", kind=NodeKind.VERIFY, quorum=quorum, reviewers=3, **fields)


@pytest.mark.parametrize(
    ("quorum", "outcomes", "size", "condition"),
    [
        (Quorum.MAJORITY, (YES, YES, NO), 3, Condition.APPROVED),
        (Quorum.MAJORITY, (YES, NO, NO), 3, Condition.REJECTED),
        (Quorum.MAJORITY, (YES, NO), 2, Condition.REJECTED),
        (Quorum.MAJORITY, (YES, YES, LOST), 3, Condition.APPROVED),
        (Quorum.MAJORITY, (YES, NO, LOST), 3, None),
        (Quorum.MAJORITY, (YES, NO, FAILED), 3, Condition.FAILURE),
        (Quorum.MAJORITY, (YES, LATE, LATE), 3, Condition.TIMEOUT),
        (Quorum.MAJORITY, (YES, LATE, FAILED), 3, Condition.FAILURE),
        (Quorum.MAJORITY, (YES,), 3, None),
        (Quorum.ALL, (YES, YES, NO), 3, Condition.REJECTED),
        (Quorum.ALL, (YES, YES, YES), 3, Condition.APPROVED),
        (Quorum.ALL, (YES, YES, LOST), 3, None),
        (Quorum.ANY, (NO, NO, YES), 3, Condition.APPROVED),
        (Quorum.ANY, (NO, NO, LOST), 3, None),
        (Quorum.ANY, (NO, NO, NO), 3, Condition.REJECTED),
        (Quorum.MAJORITY, (SILENT, SILENT, NO), 3, Condition.APPROVED),
    ],
)
def test_votes_decide_when_the_silent_ones_could_not_change_it(
    quorum: Quorum, outcomes: tuple[Outcome, ...], size: int, condition: Condition | None
) -> None:
    assert condition_of(verify(quorum), runs(*outcomes), size) is condition


@pytest.mark.parametrize(
    ("outcome", "condition"),
    [
        (SILENT, Condition.SUCCESS),
        (NO, Condition.SUCCESS),
        (FAILED, Condition.FAILURE),
        (Looped(reason="The same again."), Condition.FAILURE),
        (LATE, Condition.TIMEOUT),
        (LOST, None),
        (Cancelled(cause="handback"), None),
    ],
)
def test_the_run_of_a_task_tells_how_it_went(outcome: Outcome, condition: Condition | None) -> None:
    assert condition_of(Node(name="fix"), runs(outcome), 1) is condition


def test_a_step_whose_runs_were_all_taken_back_does_not_count() -> None:
    assert condition_of(Node(name="fix"), [], 1) is None
    assert condition_of(verify(), [], 3) is None


def test_reviews_say_who_said_what_and_are_cut_to_a_length() -> None:
    long = Completed(verdict="rejected", summary="x" * (MAX_SUMMARY + 1))

    reviews = reviews_of(verify(), runs(YES, long, LOST))

    assert [(review.by, review.verdict) for review in reviews] == [
        ("agent 0", Verdict.APPROVED),
        ("agent 1", Verdict.REJECTED),
    ]
    assert len(reviews[1].summary) == MAX_SUMMARY


def test_votes_are_counted_and_told() -> None:
    votes = votes_of(runs(YES, NO, LOST))

    assert votes == Votes(approved=1, rejected=1, silent=1)
    assert str(votes) == "1 approved, 1 rejected, 1 said nothing"
