"""What a bead's agents got done, as values that are kept, shown and told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommitRange:
    """Commits, oldest first: the first, the last, and how many; empty without any."""

    first: str = ""
    last: str = ""
    count: int = 0

    def __str__(self) -> str:
        if self.count <= 1:
            return f"1 commit, {self.last[:12]}" if self.count else "no commits"
        return f"{self.count} commits, {self.first[:12]} to {self.last[:12]}"


NO_COMMITS = CommitRange()
