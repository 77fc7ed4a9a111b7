"""How hard a bead is, and which of a role's runners that asks for. Source: SPEC, "Routing"."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dispatch.models.bead import Bead


class Level(IntEnum):
    SIMPLE = 0
    MEDIUM = 1
    COMPLEX = 2


@dataclass(frozen=True, slots=True)
class Complexity:
    """How hard a bead is, and why: `work` by itself, `level` after the failures it has behind it.

    `reasons` are phrases, those that weigh most first; the history comes last.
    """

    work: Level
    failures: int
    reasons: tuple[str, ...]

    @property
    def level(self) -> Level:
        return Level(min(self.work + self.failures, Level.COMPLEX))

    def runner_index(self, count: int) -> int:
        """Return which of `count` runners, the weakest first, should do the bead: a stronger one after each failure.

        Simple work starts with the weakest, complex work with the strongest, medium work between them, and with the
        stronger one of two. Raises ValueError when there is no runner.
        """
        if count < 1:
            raise ValueError("a role without runners has none to choose from")
        first = -(-self.work * (count - 1) // Level.COMPLEX)
        return min(first + self.failures, count - 1)


@dataclass(frozen=True, slots=True)
class RunnerChoice:
    """The runner of a role that a bead gets, and why, in a sentence without a capital."""

    name: str
    reason: str


MEDIUM_FROM, COMPLEX_FROM = 2, 5
"""Points from which work is at least medium, or complex."""

_TYPES = {"epic": 3, "feature": 1, "story": 1, "spike": 2, "decision": 2, "milestone": 2}
_SMALL = re.compile(
    r"\b(?:typos?|spelling|wording|renam(?:e|es|ing)|bump|copyright|whitespace|formatting|lint|docstrings?|"
    r"change ?log|comments?|links?|log message)\b",
    re.IGNORECASE,
)
_HARD = {
    "it is about concurrency": r"\b(?:race conditions?|deadlocks?|concurren(?:t|cy)|thread[- ]safe\w*|lock(?:s|ing))\b",
    "it changes the shape of the system": r"\b(?:architectur\w+|re-?design|re-?write|refactor(?:ing)?|decouple)\b",
    "it moves data": r"\b(?:migrat(?:e|es|ion|ions|ing)|backfill|schema change|backwards?[- ]compatib\w+)\b",
    "it is about security": r"\b(?:security|vulnerabilit\w+|authenti\w+|authori[sz]ation|encrypt\w+|injection)\b",
    "it spans systems": r"\b(?:distributed|cross-(?:repo|service)|end-to-end|protocol|consensus|multi-tenant)\b",
    "it is about speed or memory": r"\b(?:performance|latency|throughput|memory leak|scal(?:e|ing|ability))\b",
    "it does not happen every time": r"\b(?:flaky|intermittent(?:ly)?|sporadic\w*|heisenbug|non-?deterministic)\b",
}
_HARD_PATTERNS = {reason: re.compile(pattern, re.IGNORECASE) for reason, pattern in _HARD.items()}
_DECISION = re.compile(
    r"\b(?:decide|decision|choose between|trade-?offs?|evaluate|compare options|pros and cons|rfc|proposal|"
    r"design doc(?:ument)?|investigat\w+|root cause)\b",
    re.IGNORECASE,
)
_STEP = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+\S", re.MULTILINE)
_FILE = re.compile(r"\b[\w-]{1,80}\.(?:py|go|rs|java|kt|js|ts|jsx|tsx|c|cpp|h|rb|sql|css|html|toml|ya?ml|sh|md)\b")
_READ_CHARACTERS = 20_000
_MOST_FROM_TEXT = 2
"""Points for words of the description: a long text has some of every kind."""


def complexity_of(bead: Bead, failures: int) -> Complexity:
    """Say how hard a bead is, from its type and its text, and what its failed runs in a row add to that."""
    found = sorted(_points(bead), key=lambda entry: -entry[0])
    total = sum(points for points, _ in found)
    work = Level.COMPLEX if total >= COMPLEX_FROM else Level.MEDIUM if total >= MEDIUM_FROM else Level.SIMPLE
    floors = list(_floors(bead)) if work < Level.MEDIUM else []
    reasons = [reason for _, reason in found] + floors
    if failures:
        reasons.append(f"it failed {failures} time{'s' if failures > 1 else ''} in a row")
    return Complexity(Level.MEDIUM if floors else work, failures, tuple(reasons))


def choose_runner(runners: Sequence[str], bead: Bead) -> RunnerChoice | None:
    """Return which of a role's runners, the weakest first, does a bead with its failures so far; None without any."""
    if not runners:
        return None
    complexity = complexity_of(bead, bead.failures)
    name = runners[complexity.runner_index(len(runners))]
    if len(runners) == 1:
        return RunnerChoice(name, "it is the only one of the role.")
    because = f" ({'; '.join(complexity.reasons)})" if complexity.reasons else ""
    return RunnerChoice(name, f"the work is {complexity.level.name.lower()}{because}.")


def _floors(bead: Bead) -> Iterator[str]:
    """Yield why a bead is at least medium, however simple it looks."""
    if bead.priority == 0:
        yield "it has priority 0"
    if bead.issue_type == "decision" or _DECISION.search(bead.title):
        yield "it asks for a decision"


def _points(bead: Bead) -> Iterator[tuple[int, str]]:
    """Yield the points for and against a bead, with their reasons."""
    text = f"{bead.title}\n{bead.description[:_READ_CHARACTERS]}"
    if points := _TYPES.get(bead.issue_type, 0):
        yield points, f"it is of type {bead.issue_type}"
    in_title = [reason for reason, pattern in _HARD_PATTERNS.items() if pattern.search(bead.title)]
    in_text = [reason for reason, pattern in _HARD_PATTERNS.items() if pattern.search(text) and reason not in in_title]
    yield from ((2, reason) for reason in in_title)
    yield from ((1, reason) for reason in in_text[:_MOST_FROM_TEXT])
    if _SMALL.search(bead.title):
        yield -2, "its title names a small change"
    yield from _size(bead.description[:_READ_CHARACTERS])


def _size(description: str) -> Iterator[tuple[int, str]]:
    """Yield the points for the length of a description, the steps in it and the files that it names."""
    for count, unit, medium, large in (
        (len(description), "characters", 1_200, 4_000),
        (len(_STEP.findall(description)), "listed points", 6, 15),
        (len(set(_FILE.findall(description))), "named files", 4, 10),
    ):
        if count >= medium:
            yield 2 if count >= large else 1, f"its description has {count:,} {unit}"
