"""What an import hands to the store, and what it did there."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dispatch.models.bead import Bead, Dependency


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadRecord:
    """A bead to keep: its document as text and parsed, what was read of it, and what routing makes of it.

    `role_hint`, `role_reason` and `role_problem` are those of `Bead`; `timeout` is the limit that its metadata sets for
    its runs. `workflow` is the one that it asks for.
    """

    bead: Bead
    text: str
    document: dict[str, Any]
    dependencies: tuple[Dependency, ...] = ()
    role_hint: str = ""
    role_reason: str = ""
    role_problem: str = ""
    workflow: str = ""
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord:
    """A fact about the project that the tracker remembers."""

    key: str
    text: str


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What an import did. `kept` are beads whose status stayed ours, though the file says another."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    older: int = 0
    memories: int = 0
    kept: list[str] = field(default_factory=list)
