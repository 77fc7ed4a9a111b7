"""What a human can decide about a bead, and what is recommended: a plain function of why it came to him."""

from collections.abc import Mapping, Sequence

from dispatch.models.decision import EscalationKind, Offer, Option
from dispatch.models.run import ErrorRecord
from dispatch.models.settling import Escalation

_ALL = (Option.RETRY, Option.RAISE_LIMIT, Option.REASSIGN, Option.SPLIT, Option.CLOSE)
_OFFERED: Mapping[EscalationKind, tuple[Option, ...]] = {
    EscalationKind.FAILED: _ALL,
    EscalationKind.LOOPING: _ALL,
    EscalationKind.LIMIT: _ALL,
    EscalationKind.PING_PONG: (Option.RETRY, Option.REASSIGN, Option.SPLIT, Option.CLOSE),
    EscalationKind.QUESTION: (Option.ANSWER, Option.REASSIGN, Option.SPLIT, Option.CLOSE),
    EscalationKind.UNSETTLED: (Option.RETRY, Option.CLOSE),
    EscalationKind.WORKFLOW: _ALL,
    EscalationKind.APPROVAL: (Option.APPROVE, Option.REJECT, Option.CLOSE),
    EscalationKind.RETURNED: _ALL,
}
_RECENT = 3
"""Errors that tell what kind of trouble a bead is in."""
_TOLD = frozenset({Option.RETRY, Option.ANSWER})


def offer(escalation: Escalation, earlier: Sequence[Option] = ()) -> Offer:
    """Return the options of a decision. `earlier` is what was decided about the bead before, the oldest first."""
    recommended, why = _recommended(escalation, earlier)
    return Offer(options=_OFFERED[escalation.kind], recommended=recommended, why=why)


def _recommended(escalation: Escalation, earlier: Sequence[Option]) -> tuple[Option, str]:
    match escalation.kind:
        case EscalationKind.QUESTION:
            return Option.ANSWER, "it goes on with your answer"
        case EscalationKind.APPROVAL:
            return Option.APPROVE, "if the work is good"
        case EscalationKind.UNSETTLED:
            return Option.RETRY, "once the cause is mended; what its run did is kept"
        case EscalationKind.LIMIT:
            return Option.SPLIT, "it gets on and finds no end: it is too much for one bead"
        case EscalationKind.PING_PONG:
            return Option.REASSIGN, "neither of the two finishes it"
        case _:
            return _after_failures(escalation, earlier)


def _after_failures(escalation: Escalation, earlier: Sequence[Option]) -> tuple[Option, str]:
    recent = [_first_line(error) for error in escalation.errors[-_RECENT:]]
    several = len(recent) == _RECENT
    if several and all(line.startswith("timed out") for line in recent):
        return Option.SPLIT, "each run ran out of time: it is too much for one run"
    if Option.REASSIGN in earlier:
        return Option.SPLIT, "another role did not finish it either"
    if _TOLD & set(earlier):
        return Option.REASSIGN, "it had advice and came back"
    if several and len(set(recent)) == 1:
        return Option.RETRY, "its runs fail with the same error: they need to know something"
    if several and escalation.commits.count and escalation.kind is EscalationKind.FAILED:
        return Option.RAISE_LIMIT, "its errors change and it leaves commits: it gets on"
    return Option.RETRY, "nobody has advised it yet"


def _first_line(error: ErrorRecord) -> str:
    return error.error.partition("\n")[0].strip()
