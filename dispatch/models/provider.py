"""Providers of models: what can be wrong with one, and what is remembered of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dispatch.models.outcome import Completed, Failed, NeedsInput
from dispatch.models.run import Run

MAX_PROVIDER_ERROR = 500
"""Characters of an error that are kept."""


class ProviderTrouble(StrEnum):
    """Why a run failed by the fault of its provider; the text is the cause of its outcome."""

    KEY_REFUSED = "provider refuses the key"
    UNKNOWN_MODEL = "provider does not know the model"
    UNREACHABLE = "provider not reachable"
    BROKEN = "provider broken"
    BUSY = "provider rate limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecord:
    """What is remembered of a provider: its failures in a row, and the last look at it.

    `cause` and `error` are those of the last failure, at `failed_at`. `check_error` is what the last health check, at
    `checked_at`, found wrong; empty: nothing. `is_in_use`: a run on it is open.
    """

    name: str
    failures: int = 0
    cause: str = ""
    error: str = ""
    failed_at: datetime | None = None
    succeeded_at: datetime | None = None
    checked_at: datetime | None = None
    check_error: str = ""
    is_in_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """What asking an endpoint came to: the trouble, or None, and a sentence without a word of the key.

    `was_asked` is False where that was not possible, as without a key: then nothing is known.
    """

    trouble: ProviderTrouble | None
    told: str
    was_asked: bool = True


def trouble_of(run: Run) -> ProviderTrouble | None:
    """Return what a run says against its provider; None: nothing, or it has none."""
    outcome = run.outcome
    if run.provider and isinstance(outcome, Failed) and outcome.cause in set(ProviderTrouble):
        return ProviderTrouble(outcome.cause)
    return None


def shows_answer(run: Run) -> bool:
    """Tell whether a run shows that its provider answers: its agent came to an end of its own, or used tokens."""
    ended = isinstance(run.outcome, Completed | NeedsInput)
    return trouble_of(run) is None and (ended or run.spent.tokens > 0)
