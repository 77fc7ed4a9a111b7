"""The breaker of a provider: one that fails is left alone for a while, longer each time, and tried with one run.

What counts is each run on it as it is settled, and each health check: a failure lengthens the row, an answer ends it.
The row is kept in the database, so that it is the same for every process. Source: SPEC, "Dispatch", step 8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dispatch.models.provider import (
    MAX_PROVIDER_ERROR,
    ProviderRecord,
    ProviderTrouble,
    shows_answer,
    trouble_of,
)
from dispatch.models.run import Run
from dispatch.settings import GuardSettings

_MOST_DOUBLINGS = 20
_SEEN_BY_A_CHECK = frozenset({ProviderTrouble.KEY_REFUSED, ProviderTrouble.UNREACHABLE, ProviderTrouble.UNKNOWN_MODEL})
"""What a health check shows to be over. An endpoint that is busy or broken may still list its models."""


class BreakerState(StrEnum):
    """CLOSED: any run may use it. OPEN: none. HALF_OPEN: one, to try it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


def retry_from(record: ProviderRecord, guards: GuardSettings) -> datetime | None:
    """Return from when on an open breaker lets one run try; None: it is closed."""
    if record.failures < guards.provider_failures or record.failed_at is None:
        return None
    first, longest = guards.provider_cooldown
    wait = min(first * (1 << min(record.failures - guards.provider_failures, _MOST_DOUBLINGS)), longest)
    return record.failed_at + wait


def state_of(record: ProviderRecord, guards: GuardSettings, now: datetime) -> BreakerState:
    opens = retry_from(record, guards)
    if opens is None:
        return BreakerState.CLOSED
    return BreakerState.HALF_OPEN if now >= opens else BreakerState.OPEN


def after_failure(
    record: ProviderRecord, trouble: ProviderTrouble, error: str, guards: GuardSettings, now: datetime
) -> ProviderRecord:
    """Return the record after one more failure. Runs that were under way when the breaker opened do not lengthen it."""
    late = state_of(record, guards, now) is BreakerState.OPEN
    told = error.strip()[:MAX_PROVIDER_ERROR]
    if late:
        return replace(record, cause=trouble.value, error=told)
    return replace(record, failures=record.failures + 1, cause=trouble.value, error=told, failed_at=now)


def after_answer(record: ProviderRecord, now: datetime) -> ProviderRecord:
    """Return the record after a run that the provider answered: its row is over."""
    return replace(record, failures=0, succeeded_at=now)


def after_run(record: ProviderRecord, run: Run, guards: GuardSettings, now: datetime) -> ProviderRecord:
    """Return the record after a settled run on the provider. One that never came to ask it says nothing."""
    trouble = trouble_of(run)
    if trouble is not None and run.outcome is not None:
        return after_failure(record, trouble, run.outcome.summary, guards, now)
    return after_answer(record, now) if shows_answer(run) else record


def after_check(
    record: ProviderRecord, trouble: ProviderTrouble | None, told: str, guards: GuardSettings, now: datetime
) -> ProviderRecord:
    """Return the record after a health check, which ends only rows of troubles that it would have met itself."""
    looked = replace(record, checked_at=now, check_error=told[:MAX_PROVIDER_ERROR] if trouble else "")
    if trouble is not None:
        return after_failure(looked, trouble, told, guards, now)
    return replace(looked, failures=0) if record.cause in _SEEN_BY_A_CHECK else looked


@dataclass(frozen=True, slots=True)
class UsableProviders:
    """Which of some providers a run may use at a moment, and why it may not use the others.

    `taken` are those on trial that a run of this round tries already.
    """

    records: Mapping[str, ProviderRecord]
    guards: GuardSettings
    now: datetime

    def obstacle(self, name: str, taken: frozenset[str] = frozenset()) -> str | None:
        """Say why no run may use a provider now, as a phrase; None: one may."""
        record = self.records.get(name) or ProviderRecord(name=name)
        match state_of(record, self.guards, self.now):
            case BreakerState.CLOSED:
                return None
            case BreakerState.OPEN:
                opens = retry_from(record, self.guards)
                return f"{record.cause}; it is tried again from {opens:%Y-%m-%d %H:%M:%S} UTC on"
            case BreakerState.HALF_OPEN:
                is_tried = record.is_in_use or name in taken
                return f"{record.cause}; one run is trying it" if is_tried else None

    def is_on_trial(self, name: str) -> bool:
        record = self.records.get(name)
        return record is not None and state_of(record, self.guards, self.now) is BreakerState.HALF_OPEN

    def up(self, names: Sequence[str], taken: frozenset[str] = frozenset()) -> list[str]:
        """Return those that a run may use, in the order given."""
        return [name for name in names if self.obstacle(name, taken) is None]

    def refusal(self, role: str, names: Sequence[str], taken: frozenset[str] = frozenset()) -> str:
        """Say that all providers of a role are down, and why each is."""
        told = "; ".join(f"{name}: {self.obstacle(name, taken)}" for name in names)
        return f"All providers of the role {role} are down ({told})."
