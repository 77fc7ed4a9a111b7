"""What a beads file is made of, as the reader hands it on."""

from dataclasses import dataclass
from typing import Any

from dispatch.models.bead import Bead, Dependency


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a line, a bead or the graph, and what to do about it.

    `fatal`: the line is not imported. Otherwise it is a warning, and the line is imported all the same.
    """

    line: int | None
    bead_id: str | None
    problem: str
    cure: str
    fatal: bool

    def __str__(self) -> str:
        said = f"{self.problem}; {self.cure}"
        if self.line is None:
            return f"{self.bead_id}: {said}" if self.bead_id else said
        return f"line {self.line} ({self.bead_id}): {said}" if self.bead_id else f"line {self.line}: {said}"


@dataclass(frozen=True, slots=True)
class BeadEntry:
    """A bead of the file.

    `text` is the JSON of its line, letter for letter: it holds no NUL and no lone surrogate (JSON has them escaped),
    so a text column of PostgreSQL takes it. `document` is the same, parsed; its strings may hold both. `bead` and
    `dependencies` are cleaned of them, and `bead` has no project yet. `dependencies` has each edge once.
    """

    line: int
    text: str
    document: dict[str, Any]
    bead: Bead
    dependencies: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """A fact that the tracker remembers about the project; not work. `text` is the JSON of its line.

    `value` is any JSON value.
    """

    line: int
    key: str
    value: Any
    text: str


Entry = BeadEntry | MemoryEntry | Problem
