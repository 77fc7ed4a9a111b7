"""Where a bead goes next."""

from collections.abc import Mapping
from typing import Any

from dispatch.models.workflow import (
    DONE,
    Condition,
    Execution,
    Node,
    NodeKind,
    Review,
    Verdict,
    Workflow,
    WorkflowMove,
)
from dispatch.workflow.moving import MOST_REVIEWS, advance, begin, bounce, renewed

SUCCESS, FAILURE, TIMEOUT = Condition.SUCCESS, Condition.FAILURE, Condition.TIMEOUT
APPROVED, REJECTED = Condition.APPROVED, Condition.REJECTED


def node(name: str, edges: Mapping[Condition, str], kind: NodeKind = NodeKind.TASK, **fields: Any) -> Node:
    return Node(name=name, kind=kind, edges=edges, **fields)


def flow(*nodes: Node, cycle_limit: int = 3) -> Workflow:
    return Workflow(name="w", start=nodes[0].name, nodes={one.name: one for one in nodes}, cycle_limit=cycle_limit)


REVIEWED = flow(
    node("implement", {SUCCESS: "review"}),
    node("review", {APPROVED: DONE, REJECTED: "implement"}, NodeKind.VERIFY, reviewers=2),
)


def after(execution: Execution, *conditions: Condition) -> tuple[Execution, WorkflowMove]:
    """Take an execution through some conditions; return it, and the last move."""
    move = None
    for condition in conditions:
        move = advance(execution, condition)
        execution = move.applied_to(execution)
    assert move is not None
    return execution, move


def test_a_success_leads_along_its_edge_and_the_end_is_the_end() -> None:
    reviewed, move = after(begin(REVIEWED), SUCCESS)
    through, last = after(reviewed, APPROVED)

    assert (move.source, move.target, move.writer) == ("implement", "review", "implement")
    assert last.is_through
    assert through.node == DONE
    assert through.current is None


def test_a_failing_node_is_done_again_until_its_attempts_are_used_up_then_its_failure_edge_is_taken() -> None:
    planned = flow(
        node("fix", {SUCCESS: DONE, FAILURE: "plan"}, max_attempts=2),
        node("plan", {SUCCESS: "fix"}),
    )

    once, first = after(begin(planned), FAILURE)
    _, second = after(once, FAILURE)

    assert (first.target, first.attempts) == ("fix", 1)
    assert (second.target, second.attempts, second.escalates) == ("plan", 0, "")


def test_without_a_failure_edge_a_human_is_asked_and_the_node_is_kept() -> None:
    _, move = after(begin(REVIEWED), FAILURE, FAILURE, FAILURE)

    assert move.target == "implement"
    assert move.escalates == "its node implement came to failure 3 times, and no edge leads on"


def test_a_success_forgets_the_failures_before_it() -> None:
    execution, _ = after(begin(REVIEWED), FAILURE, FAILURE, SUCCESS, REJECTED)

    assert (execution.node, execution.attempts) == ("implement", 0)


def test_coming_back_is_a_cycle_and_after_too_many_a_human_is_asked() -> None:
    execution, move = after(begin(REVIEWED), *[SUCCESS, REJECTED] * 3)
    assert (move.target, move.cycles, move.escalates) == ("implement", 3, "")

    reviewed, move = after(execution, SUCCESS)
    assert (move.target, move.cycles, move.escalates) == ("review", 3, "")

    _, move = after(reviewed, REJECTED)
    assert (move.target, move.cycles) == ("implement", 4)
    assert move.escalates == "it came back to implement 4 times, and 3 times is allowed"


def test_a_human_who_lets_a_bead_go_on_gives_it_all_its_attempts_and_cycles_anew() -> None:
    execution, _ = after(begin(REVIEWED), SUCCESS, REJECTED, FAILURE)

    again = renewed(execution)

    assert (again.node, again.attempts, again.cycles) == ("implement", 0, 0)
    assert after(again, *[SUCCESS, REJECTED] * 3)[1].escalates == ""


def test_a_timeout_takes_its_own_edge_at_once_and_else_counts_as_a_failure() -> None:
    edged = flow(node("fix", {SUCCESS: DONE, TIMEOUT: "split"}), node("split", {SUCCESS: DONE}))

    assert after(begin(edged), TIMEOUT)[1].target == "split"
    assert after(begin(REVIEWED), TIMEOUT)[1].attempts == 1


def test_approved_stands_for_success_and_rejected_for_failure_where_a_node_has_no_edge_of_its_own() -> None:
    loose = flow(
        node("fix", {SUCCESS: "look"}),
        node("look", {SUCCESS: DONE, FAILURE: "fix"}, NodeKind.VERIFY),
    )
    looked, _ = after(begin(loose), SUCCESS)

    assert after(looked, APPROVED)[1].is_through
    assert after(looked, REJECTED)[1].target == "fix"


def test_refused_work_goes_back_to_whom_wrote_it_last() -> None:
    landing, _ = after(begin(REVIEWED), SUCCESS, APPROVED)

    move = bounce(landing)

    assert (move.source, move.target, move.condition, move.cycles) == (DONE, "implement", FAILURE, 1)


def test_what_reviewers_said_is_told_until_the_next_work_is_done() -> None:
    said = Review(node="review", by="one", verdict=Verdict.REJECTED, summary="The test is missing.")
    execution, _ = after(begin(REVIEWED), SUCCESS)

    back = advance(execution, REJECTED, reviews=(said,))
    done = advance(back.applied_to(execution), SUCCESS)

    assert back.reviews == (said,)
    assert done.reviews == ()


def test_only_the_newest_reviews_are_kept() -> None:
    execution, _ = after(begin(REVIEWED), SUCCESS)
    many = tuple(Review(node="review", by=str(number), verdict=Verdict.REJECTED) for number in range(50))

    move = advance(execution, REJECTED, reviews=many)

    assert move.reviews == many[-MOST_REVIEWS:]
