"""What is remembered of the providers of models: how runs on each ended, and what the last health check found."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dispatch.models.provider import ProviderRecord
from dispatch.models.run import Run
from dispatch.models.states import OPEN_RUN_STATES
from dispatch.store import guard, history
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.wishes import COUNT_WISH
from dispatch.store.written import written

Judge = Callable[[ProviderRecord, Run, datetime], ProviderRecord]
"""Decides what a settled run changes in what is remembered of its provider."""
Look = Callable[[ProviderRecord, datetime], ProviderRecord]
"""Decides what a health check changes."""

AS_JSON = f"""
SELECT json_agg(known) FROM (
    SELECT providers.*, failures > 0 AND EXISTS (
        SELECT FROM runs WHERE runs.state IN {guard.states(OPEN_RUN_STATES)} AND runs.provider = providers.name
    ) AS is_in_use
    FROM providers
) AS known
"""
"""All of them in one value: there are few, and only those that fail are looked for among the open runs."""
_ALL = written(f"SELECT ({AS_JSON}) AS found")
_ADD = written("INSERT INTO providers (name) VALUES (:name) ON CONFLICT DO NOTHING")
_LOCK = written("SELECT providers.*, false AS is_in_use FROM providers WHERE name = :name FOR UPDATE")
_KEEP = written(
    """
UPDATE providers SET failures = :failures, cause = :cause, error = :error, failed_at = :failed_at,
    succeeded_at = :succeeded_at, checked_at = :checked_at, check_error = :check_error
WHERE name = :name
"""
)
_FORGET = written("UPDATE providers SET failures = 0 WHERE name = :name AND failures > 0 RETURNING name")


def note_run(tx: Transaction, run: Run, judge: Judge) -> None:
    """Keep what a settled run shows of its provider. The caller holds the lock of the run's project."""
    moment = tx.moment()
    _change(tx, run.provider, lambda record: judge(record, run, moment))


def _change(tx: Transaction, name: str, decide: Callable[[ProviderRecord], ProviderRecord]) -> None:
    tx.run(_ADD, name=name)
    before = _record(tx.run_one(_LOCK, name=name)._asdict())
    after = decide(before)
    if after == before:
        return
    tx.run(
        _KEEP,
        name=name,
        failures=after.failures,
        cause=after.cause,
        error=after.error,
        failed_at=after.failed_at,
        succeeded_at=after.succeeded_at,
        checked_at=after.checked_at,
        check_error=after.check_error,
    )
    if after.failures != before.failures:
        kind = "provider.failed" if after.failures else "provider.answers"
        history.add_event(tx, kind, provider=name, failures=after.failures, cause=after.cause)
    if before.failures and not after.failures:
        tx.run(COUNT_WISH)


class ProviderRecords:
    """The store as those see it who ask which providers answer."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def all(self) -> dict[str, ProviderRecord]:
        """Return what is remembered, by name; a provider that never ran and was never looked at is not in it."""
        with self._units.read() as tx:
            return records_of(tx.run_one(_ALL).found)

    def note_check(self, name: str, look: Look) -> None:
        """Keep what a health check found."""
        retrying(lambda: self._note_check(name, look))

    def _note_check(self, name: str, look: Look) -> None:
        with self._units.begin() as tx:
            moment = tx.moment()
            _change(tx, name, lambda record: look(record, moment))

    def forget_failures(self, name: str) -> bool:
        """Close the breaker of a provider, so that any run may use it; False when it had no failures."""
        with self._units.begin() as tx:
            closed = tx.run_one(_FORGET, name=name) is not None
            if closed:
                history.add_event(tx, "provider.released", provider=name)
                tx.run(COUNT_WISH)
        return closed

    def now(self) -> datetime:
        """Return the moment by which breakers are judged."""
        with self._units.read() as tx:
            return tx.moment()


def records_of(rows: Sequence[Mapping[str, Any]] | None) -> dict[str, ProviderRecord]:
    """Rows of `AS_JSON`."""
    return {facts["name"]: _record(facts) for facts in rows or ()}


def _record(facts: Mapping[str, Any]) -> ProviderRecord:
    moments = ("failed_at", "succeeded_at", "checked_at")
    return ProviderRecord(**{**facts, **{name: _moment(facts[name]) for name in moments}})


def _moment(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
