"""Where a bead goes next in its workflow: plain functions of where it is and what its step came to."""

from dataclasses import replace

from dispatch.models.workflow import (
    DONE,
    Condition,
    Execution,
    Node,
    Review,
    Votes,
    Workflow,
    WorkflowMove,
)

MOST_REVIEWS = 20
"""Reviews that the next writing run is told of, the newest."""
_STANDS_FOR = {
    Condition.APPROVED: Condition.SUCCESS,
    Condition.SUCCESS: Condition.APPROVED,
    Condition.REJECTED: Condition.FAILURE,
}
"""Which edge is taken where a node has none for the condition itself."""


def begin(workflow: Workflow) -> Execution:
    """Return the execution of a bead that begins a workflow."""
    return Execution(workflow=workflow, node=workflow.start)


def advance(
    execution: Execution, condition: Condition, *, reviews: tuple[Review, ...] = (), votes: Votes | None = None
) -> WorkflowMove:
    """Decide where a bead goes on a condition, which its current node came to.

    A failing node is done again until it failed `max_attempts` times in a row. Nobody is sent round for ever: a bead
    that came back too often, or has no edge to go by, waits for a human where it would have gone on.
    """
    node = _current(execution)
    told = replace(_standing(execution), condition=condition, votes=votes, reviews=_told(execution, reviews))
    if node.writes:
        told = replace(told, writer=node.name)
    target = _target(node, condition)
    if target is not None:
        forgotten = node.writes and condition is Condition.SUCCESS
        return _enter(execution.workflow, replace(told, reviews=() if forgotten else told.reviews), target)
    attempts = execution.attempts + 1
    if attempts < node.max_attempts:
        return replace(told, attempts=attempts)
    given_up = node.edges.get(Condition.FAILURE)
    if given_up is not None:
        return _enter(execution.workflow, told, given_up)
    return replace(told, escalates=f"its node {node.name} came to {condition} {_times(attempts)}, and no edge leads on")


def bounce(execution: Execution) -> WorkflowMove:
    """Decide where a bead goes whose work was refused when it should have landed: back to whom wrote it last."""
    told = replace(_standing(execution), condition=Condition.FAILURE)
    return _enter(execution.workflow, told, execution.writer or execution.workflow.start)


def renewed(execution: Execution) -> Execution:
    """Return an execution whose failures and cycles so far no longer count: a human let the bead go on."""
    return replace(execution, attempts=0, cycles=0, visited=())


def times_out(node: Node | None) -> bool:
    """Tell whether a human's silence at a node leads somewhere."""
    return node is not None and node.timeout is not None and Condition.TIMEOUT in node.edges


def _target(node: Node, condition: Condition) -> str | None:
    """Return where an edge leads at once; None: the node is to be done again, as far as that goes."""
    if condition is Condition.FAILURE:
        return None
    stand_in = _STANDS_FOR.get(condition)
    return node.edges.get(condition) or (node.edges.get(stand_in) if stand_in is not None else None)


def _enter(workflow: Workflow, told: WorkflowMove, target: str) -> WorkflowMove:
    """Go to a node. To one that was left before it is a cycle, of which there may only be so many."""
    visited = (*told.visited, told.source) if told.source != DONE else told.visited
    back = visited.count(target)
    too_often = back > workflow.cycle_limit
    why = f"it came back to {target} {_times(back)}, and {_times(workflow.cycle_limit)} is allowed"
    return replace(
        told,
        target=target,
        attempts=0,
        cycles=max(told.cycles, back),
        visited=visited,
        escalates=why if too_often else "",
    )


def _standing(execution: Execution) -> WorkflowMove:
    return WorkflowMove(
        condition=None,
        source=execution.node,
        target=execution.node,
        attempts=execution.attempts,
        cycles=execution.cycles,
        visited=execution.visited,
        writer=execution.writer,
        reviews=execution.reviews,
    )


def _told(execution: Execution, new: tuple[Review, ...]) -> tuple[Review, ...]:
    return (*execution.reviews, *new)[-MOST_REVIEWS:]


def _current(execution: Execution) -> Node:
    node = execution.current
    assert node is not None, "only a bead at a node moves"
    return node


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
