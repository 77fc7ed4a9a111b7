"""Where a bead is in its workflow, and how it came there, as a view."""

from collections.abc import Iterator
from typing import Any

from dispatch.cli import output
from dispatch.models.event import Event
from dispatch.models.identity import BeadKey
from dispatch.models.workflow import Execution, Votes
from dispatch.store import Store


def execution_view(store: Store, key: BeadKey) -> dict[str, Any] | None:
    """Return where a bead is, or was at last, in a workflow; None: it never was in one."""
    execution = store.workflows.execution(key)
    if execution is None:
        return None
    node = execution.current
    return {
        "name": execution.workflow.name,
        "node": execution.node,
        "kind": node.kind if node is not None else None,
        "role": node.role if node is not None else "",
        "attempts": execution.attempts,
        "max_attempts": node.max_attempts if node is not None else None,
        "cycles": execution.cycles,
        "cycle_limit": execution.workflow.cycle_limit,
        "entered_at": execution.entered_at,
        "ended_at": execution.ended_at,
        "reviews": [_review_view(execution, number) for number in range(len(execution.reviews))],
        "moves": [_move_view(event) for event in store.reading.events(key) if event.kind == "workflow.moved"],
    }


def _review_view(execution: Execution, number: int) -> dict[str, Any]:
    review = execution.reviews[number]
    return {"node": review.node, "by": review.by, "verdict": review.verdict, "summary": review.summary}


def _move_view(event: Event) -> dict[str, Any]:
    told = event.data
    return {
        "at": event.at,
        "from": told["source"],
        "to": told["target"],
        "condition": told["condition"],
        "votes": told.get("votes"),
        "asks_a_human": told.get("escalates", ""),
    }


def where_lines(view: dict[str, Any]) -> Iterator[str]:
    """Yield where a bead is, what was said of its work, and its moves, the newest last."""
    if view["ended_at"] is not None:
        yield f"{view['name']}: it is through since {output.moment(view['ended_at'])}"
    else:
        kind = f" ({view['kind']})" if view["kind"] else ""
        yield f"{view['name']}: at {view['node']}{kind} since {output.moment(view['entered_at'])}"
        if view["max_attempts"]:
            failed = f"failures at it {view['attempts']} of {view['max_attempts']}"
            yield f"{failed}, back {view['cycles']} of {view['cycle_limit']} times"
    for review in view["reviews"]:
        yield f"{review['by']} at {review['node']}: {review['verdict']}. {output.cell(review['summary'])}".rstrip()
    for move in view["moves"]:
        yield f"{output.moment(move['at'])}  {_move_line(move)}"


def _move_line(move: dict[str, Any]) -> str:
    votes = f" ({Votes(**move['votes'])})" if move["votes"] else ""
    asked = f"; a human is asked: {move['asks_a_human']}" if move["asks_a_human"] else ""
    return f"{move['from']} -> {move['to']}: {move['condition'] or 'done again'}{votes}{asked}"
