"""The breaker of a provider: when it opens, for how long, who may try, and what closes it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatch.models.guarding import Spent
from dispatch.models.identity import BeadId, ProjectId, RunId, StepId, uuid7
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, NeedsInput, Outcome
from dispatch.models.provider import MAX_PROVIDER_ERROR, ProviderRecord, ProviderTrouble
from dispatch.models.run import Run
from dispatch.readiness.providers import (
    BreakerState,
    UsableProviders,
    after_check,
    after_failure,
    after_run,
    retry_from,
    state_of,
)
from dispatch.settings import GuardSettings
from tests.loops.actions import NOON

GUARDS = GuardSettings()
SECOND = timedelta(seconds=1)
NEW = ProviderRecord(name="main")


def _failed(times: int, *, apart: timedelta = SECOND) -> ProviderRecord:
    record = NEW
    for number in range(times):
        record = after_failure(record, ProviderTrouble.BUSY, "busy", GUARDS, NOON + number * apart)
    return record


def _run(outcome: Outcome, tokens: int = 0) -> Run:
    return Run(
        id=RunId(uuid7()),
        step_id=StepId(uuid7()),
        index=0,
        project_id=ProjectId("shop"),
        bead_id=BeadId("shop-1"),
        role="dev",
        attempt=1,
        timeout=timedelta(minutes=30),
        outcome=outcome,
        spent=Spent(tokens_in=tokens),
        provider="main",
    )


def test_it_opens_after_three_failures_in_a_row_and_lets_one_try_after_a_wait() -> None:
    assert state_of(_failed(2), GUARDS, NOON) is BreakerState.CLOSED
    opened = _failed(3)
    assert opened.failed_at is not None
    assert retry_from(opened, GUARDS) == opened.failed_at + timedelta(seconds=30)
    assert state_of(opened, GUARDS, opened.failed_at + timedelta(seconds=29)) is BreakerState.OPEN
    assert state_of(opened, GUARDS, opened.failed_at + timedelta(seconds=30)) is BreakerState.HALF_OPEN


def test_each_trial_that_fails_doubles_the_wait_up_to_the_longest() -> None:
    record, waits = _failed(3), []
    for _ in range(8):
        opens = retry_from(record, GUARDS)
        assert opens is not None
        assert record.failed_at is not None
        waits.append((opens - record.failed_at).total_seconds())
        record = after_failure(record, ProviderTrouble.BUSY, "busy", GUARDS, opens)
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]


def test_runs_that_were_under_way_when_it_opened_do_not_lengthen_the_wait() -> None:
    opened = _failed(3)
    late = after_failure(opened, ProviderTrouble.BROKEN, "x" * 1000, GUARDS, NOON + 5 * SECOND)
    assert (late.failures, late.failed_at) == (opened.failures, opened.failed_at)
    assert (late.cause, len(late.error)) == ("provider broken", MAX_PROVIDER_ERROR)


@pytest.mark.parametrize(
    ("outcome", "tokens", "failures"),
    [
        (Completed(), 0, 0),
        (NeedsInput(question="?"), 0, 0),
        (Looped(reason="round"), 10, 0),
        (Failed(cause="limit of the run"), 10, 0),
        (Failed(cause="no key for the provider"), 0, 3),
        (Cancelled(cause="handback"), 0, 3),
        (Failed(cause="provider broken"), 10, 4),
    ],
)
def test_a_run_that_was_answered_closes_it_and_one_that_asked_nothing_says_nothing(
    outcome: Outcome, tokens: int, failures: int
) -> None:
    later = NOON + timedelta(minutes=1)
    assert after_run(_failed(3), _run(outcome, tokens), GUARDS, later).failures == failures


def test_a_check_closes_what_it_would_have_met_and_counts_what_it_meets() -> None:
    later = NOON + timedelta(minutes=1)
    refused = replace(_failed(3), cause=ProviderTrouble.KEY_REFUSED.value)
    assert after_check(refused, None, "answers", GUARDS, later).failures == 0
    busy = after_check(_failed(3), None, "answers", GUARDS, later)
    assert (busy.failures, busy.checked_at, busy.check_error) == (3, later, "")
    away = after_check(NEW, ProviderTrouble.UNREACHABLE, "not reachable", GUARDS, later)
    assert (away.failures, away.cause, away.check_error) == (1, "provider not reachable", "not reachable")


def test_one_on_trial_is_for_one_run_and_the_refusal_names_each() -> None:
    tried = timedelta(minutes=1)
    records = {"open": replace(_failed(3), name="open", failures=5), "trial": replace(_failed(3), name="trial")}
    usable = UsableProviders(records, GUARDS, NOON + tried)
    assert usable.up(["open", "trial", "new"]) == ["trial", "new"]
    assert usable.is_on_trial("trial")
    assert not usable.is_on_trial("new")
    assert usable.up(["trial"], frozenset({"trial"})) == []
    in_use = UsableProviders({"trial": replace(records["trial"], is_in_use=True)}, GUARDS, NOON + tried)
    assert in_use.up(["trial"]) == []
    assert usable.refusal("dev", ["open", "trial"], frozenset({"trial"})) == (
        "All providers of the role dev are down (open: provider rate limit; it is tried again from 2026-09-25 12:02:02 "
        "UTC on; trial: provider rate limit; one run is trying it)."
    )
