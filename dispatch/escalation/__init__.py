"""When a bead goes to a human, what the human is told, and what his decision does."""

from dispatch.escalation.options import offer
from dispatch.escalation.ruling import MAX_ADVICE, check, choose, effect_of
from dispatch.escalation.telling import by_hand, command, describe, meaning
from dispatch.escalation.urgency import most_urgent_first
from dispatch.escalation.wording import (
    asked,
    asked_by_workflow,
    declined,
    looping,
    ping_pong,
    returned,
    settle_broken,
    too_many_runs,
    worn_out,
)

__all__ = [
    "MAX_ADVICE",
    "asked",
    "asked_by_workflow",
    "by_hand",
    "check",
    "choose",
    "command",
    "declined",
    "describe",
    "effect_of",
    "looping",
    "meaning",
    "most_urgent_first",
    "offer",
    "ping_pong",
    "returned",
    "settle_broken",
    "too_many_runs",
    "worn_out",
]
