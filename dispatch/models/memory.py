"""What is remembered about a project."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A fact about a project that every run is told. `value` is any JSON value, mostly a text.

    `changed_at` is when it got that value here, by a human or by an import.
    """

    key: str
    value: Any
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldMemories:
    """The newest memories of a project, as many as a prompt may show, and how many there are in all."""

    newest: tuple[Memory, ...] = ()
    total: int = 0


NO_MEMORIES: Final = ToldMemories()
