"""The lesson of a failure that a later run overcame."""

import re
from typing import Final

from dispatch.lessons.drafting import drafted, one_line, shortened
from dispatch.models.bead import Bead
from dispatch.models.lesson import OVERCOME, LessonDraft
from dispatch.models.settling import BeadEffect
from dispatch.models.states import BeadEvent

_ERROR_ROOM: Final = 1_500
_SUCCESSES = frozenset({BeadEvent.FINISH, BeadEvent.LAND})
_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d+)?\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{10,64}\b"), "<hash>"),
    (re.compile(r"(/var)?/tmp/[^\s:'\"]+"), "<temporary file>"),
    (re.compile(r"\b(pid|process)[ =:]+\d+", re.IGNORECASE), r"\1 <n>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|sec|seconds|min|minutes)\b"), "<duration>"),
)
"""What differs each time although the failure is the same."""


def has_overcome(bead: Bead, effect: BeadEffect) -> bool:
    """Tell whether the effect ends a row of failures: runs of the bead failed, and this end is a success.

    Work that waits to land has not overcome anything yet.
    """
    if effect.error is not None or effect.escalation is not None or effect.failures:
        return False
    if effect.event in _SUCCESSES:
        return bead.failures > 0 or (bead.hops > 0 and not bead.node)
    return bead.failures > 0 and effect.workflow is not None


def overcome(bead: Bead, error: str, said: str) -> LessonDraft:
    """Return the lesson of a bead whose last failure was `error`; `said` is how the run that succeeded tells of it."""
    first, _, rest = error.strip().partition("\n")
    details = [f"While working on: {one_line(bead.title)}", "What failed:", _steady(shortened(error, _ERROR_ROOM))]
    details += ["What worked then:", said.strip() or "The run that succeeded did not say."]
    return drafted(OVERCOME, _title(first, rest), "\n".join(details))


def _title(first: str, rest: str) -> str:
    """Return the first line of an error, and where that only names the kind of failure the next one that says more."""
    line = one_line(_steady(first))
    if len(line) >= 25:
        return line
    more = next((one_line(_steady(text)) for text in rest.splitlines() if text.strip()), "")
    return f"{line}: {more}" if more else line


def _steady(text: str) -> str:
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    return text
