"""What the guards of projects know: whether one is ready, how its runs fail, and what it spent."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dispatch.models.identity import BeadKey, RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a project may be worked on. `issues` are sentences; with `ok` they are only worth knowing."""

    ok: bool
    issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReadiness:
    """What the last check of a project found, and when it ended.

    `needed` are the role hints of beads that wait, as the check found them; an empty one stands for beads without.
    """

    readiness: Readiness
    needed: frozenset[str]
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """The runs of a project that failed one after the other for the same cause, the last one at `last_at`."""

    cause: str
    failures: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Dollars, and tokens read and written."""

    usd: Decimal = Decimal(0)
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            usd=self.usd + other.usd,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpending:
    """What a run has used since it began, to be written where it counts.

    When its bead's total reaches `bead_cap` dollars the run is asked to stop, and `refusal` is kept on the bead.
    """

    run_id: RunId
    bead: BeadKey
    spent: Spent
    bead_cap: Decimal | None = None
    refusal: str = ""
