"""Which role a bead goes to, as it is kept beside the bead."""

from dataclasses import dataclass

UNCLEAR_BUG = "*unclear"
"""Stands for the role of an auto-filed bug that its evidence does not sort: for QA if that is served, else for whom a
bead without a wish is. No role or persona can be called so.
"""
MAX_ROLE = 100
"""Characters of a role that a bead asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a bead says about who should do it.

    `role` is empty when it says nothing, and `UNCLEAR_BUG` for a bug that nothing sorts. `reason` is the sentence that
    says how the role was found. `problem` is a phrase for what is wrong with the wish, `cure` a sentence for what to
    do; both are empty when nothing is. `workflow` is the one that it goes through, if any.
    """

    role: str = ""
    reason: str = ""
    workflow: str = ""
    problem: str = ""
    cure: str = ""

    @property
    def complaint(self) -> str:
        """The problem and its cure in sentences; empty when there is none."""
        return f"{self.problem[0].upper()}{self.problem[1:]}. {self.cure}" if self.problem else ""
