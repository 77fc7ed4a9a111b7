"""How a run is told to end: in events, or, for programs that only write text, in marked lines of the last message."""

from typing import Final

from dispatch.models.messages import Assignment
from dispatch.models.workflow import NodeKind

LAST_WORD: Final = "DISPATCH:"
"""Begins a line of the last message in which an agent program says how it ended."""


def how_to_end(assignment: Assignment, *, by_text: bool) -> str:
    """Return the words of the page for this run; `by_text` for a program whose last message is read."""
    node = assignment.workflow
    if node is not None and node.kind == NodeKind.VERIFY:
        return _REVIEWER_SAYS if by_text else _REVIEWER_ENDS
    return _WORKER_SAYS if by_text else _WORKER_ENDS


_REVIEWER_ENDS = """\
- Approve the work (completed, verdict approved), or reject it (completed, verdict rejected). Say in the summary what
  you looked at and, when you reject it, what has to change.
- Where you cannot judge it without a human, ask one question (needs_input)."""
_WORKER_ENDS = """\
- Leave your changes in the working directory; they are committed, tested and landed for you. Do not push, and do not
  close the bead.
- Done (completed): what the bead asks for is there, and the test command passes. Say in a sentence what you did.
- Nothing to do (completed, nothing_to_do): it was there before. Say where.
- A question (needs_input): a human has to decide or supply something. Ask one question; the answer comes with the next
  attempt.
- Not done (failed): say the cause in a few words, always the same ones for the same cause."""
_REVIEWER_SAYS = f"""\
Nobody answers while you work. End with a message whose last line is one of these:
- `{LAST_WORD} approved: ` and what you looked at.
- `{LAST_WORD} rejected: ` and what has to change; further lines may follow.
- `{LAST_WORD} needs_input: ` and one question, where you cannot judge it without a human."""
_WORKER_SAYS = f"""\
Leave your changes in the working directory; they are committed, tested and landed for you. Do not push, and do not
close the bead. Nobody answers while you work. End with a message whose last line is one of these:
- `{LAST_WORD} completed: ` and in a sentence what you did: what the bead asks for is there, and the test command
  passes.
- `{LAST_WORD} nothing_to_do: ` and where it was before.
- `{LAST_WORD} needs_input: ` and one question, which a human answers before the next attempt.
- `{LAST_WORD} failed: ` and the cause in a few words, always the same ones for the same cause.

What later runs in this project should know goes before it, in a line `{LAST_WORD} lesson: title: detail`."""
