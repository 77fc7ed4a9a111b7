"""A decision in words: what each option does, how it is typed, and the text of the decision's own bead."""

import shlex
from collections.abc import Iterator, Mapping

from dispatch.models.decision import EscalationKind, Offer, Option
from dispatch.models.identity import BeadKey
from dispatch.models.run import ErrorRecord
from dispatch.models.settling import Escalation

_MEANING: Mapping[Option, str] = {
    Option.ANSWER: "its next run gets your answer",
    Option.APPROVE: "it goes on",
    Option.REJECT: "it goes back, with your advice",
    Option.RETRY: "its next run gets your advice",
    Option.RAISE_LIMIT: "it goes on, its runs count anew",
    Option.REASSIGN: "it goes to another role",
    Option.SPLIT: "it waits for new beads",
    Option.CLOSE: "it is not done",
    Option.MOOT: "it was done before",
}
_TYPED: Mapping[Option, str] = {
    Option.ANSWER: "answer --advice 'your answer'",
    Option.APPROVE: "approve",
    Option.REJECT: "reject --advice 'what is wrong'",
    Option.RETRY: "retry --advice 'your advice'",
    Option.RAISE_LIMIT: "raise-limit",
    Option.REASSIGN: "reassign --role ROLE",
    Option.SPLIT: "split --into 'part 1' --into 'part 2'",
    Option.CLOSE: "close --reason 'why not'",
}
_CLOSED_BY_HAND: Mapping[Option, str] = {
    Option.ANSWER: "Closing this decision by hand lets it go on too, with the reason as your answer.",
    Option.APPROVE: "Closing this decision by hand approves too.",
    Option.RETRY: "Closing this decision by hand lets it go on too, with the reason as your advice.",
}
_LONGEST_ERROR = 4000
"""Characters of an error that a decision's text holds."""


def meaning(option: Option, kind: EscalationKind) -> str:
    """Say what an option does to the bead."""
    if option is Option.RETRY and kind is EscalationKind.UNSETTLED:
        return "its result is settled once more"
    if option is Option.RETRY and kind is EscalationKind.LIMIT:
        return "it gets one more run, with your advice"
    return _MEANING[option]


def command(option: Option, decision: BeadKey) -> str:
    """Return what a human types to choose an option."""
    return f"dispatch decide {shlex.quote(str(decision))} {_TYPED[option]}"


def describe(escalation: Escalation, offer: Offer, decision: BeadKey) -> str:
    """Return the text of a decision's bead: it has all that a human needs where only the tracker's file is at hand."""
    return "\n\n".join(_parts(escalation, offer, decision))


def _parts(escalation: Escalation, offer: Offer, decision: BeadKey) -> Iterator[str]:
    yield escalation.body
    if escalation.returned_to:
        yield f"Its runs so far were for the role {escalation.returned_to}."
    if escalation.progress:
        yield f"What its agents did: {escalation.progress}"
    if escalation.commits.count:
        yield f"Their work: {escalation.commits}"
    if escalation.suggestions:
        yield "\n".join(["What may help:", *(f"- {sentence}" for sentence in escalation.suggestions)])
    untold = [error for error in escalation.errors if error.error not in escalation.body]
    if untold:
        yield "\n".join(["Why its runs failed, the newest last:", *map(_error_item, untold)])
    yield "\n".join(["What you can decide:", *_choices(escalation, offer, decision)])
    yield _CLOSED_BY_HAND.get(by_hand(offer.options), _CLOSED_BY_HAND[Option.RETRY])


def _error_item(error: ErrorRecord) -> str:
    text = error.error[:_LONGEST_ERROR].strip().replace("\n", "\n  ")
    return f"- attempt {error.dispatch}: {text}"


def _choices(escalation: Escalation, offer: Offer, decision: BeadKey) -> Iterator[str]:
    for option in offer.options:
        why = f" (recommended: {offer.why})" if option is offer.recommended else ""
        yield f"- `{command(option, decision)}`: {meaning(option, escalation.kind)}{why}"


def by_hand(options: tuple[Option, ...]) -> Option:
    """Return what closing a decision by hand means: that the bead goes on."""
    return next((option for option in (Option.ANSWER, Option.APPROVE) if option in options), Option.RETRY)
