"""Actions of an agent, as the tests of loops need them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from dispatch.models.run import ActionRecord

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
INSTANT = timedelta()
MINUTE = timedelta(minutes=1)


def act(
    kind: str = "command", what: str = "make", result: str = "same", *, at: timedelta = INSTANT, **data: Any
) -> ActionRecord:
    """One action: its type, what it was done to or with, what came out, and how long after noon that was."""
    named = {"command": what} if kind in ("bash", "command", "test") else {"path": what}
    return ActionRecord(timestamp=NOON + at, action_type=kind, action_data=named | data, result_hash=result)


def commands(words: Iterable[str], *, step: timedelta = INSTANT) -> list[ActionRecord]:
    """Commands, a step apart; each word is `command` or `command=result`."""
    split = (word.partition("=") for word in words)
    return [act("command", name, result or "same", at=index * step) for index, (name, _, result) in enumerate(split)]
