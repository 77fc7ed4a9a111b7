"""What is wrong with a definition, and on which line."""

from collections.abc import Mapping
from dataclasses import dataclass

from dispatch.settings.toml_lines import KeyPath


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong: the line (from 1), what is wrong with no full stop, and what to do as a sentence."""

    line: int
    problem: str
    cure: str

    def told(self, place: str) -> str:
        """Say it all, with the file that is meant."""
        return f"{place}:{self.line}: {self.problem}. {self.cure}"


class Lines:
    """Where the keys of a definition stand; of one that is not written down, its table, or the first line."""

    def __init__(self, lines: Mapping[KeyPath, int]) -> None:
        self._lines = lines

    def of(self, *path: str) -> int:
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1
