"""What each outcome means for its bead, as a table."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId, RunId, StepId, uuid7
from dispatch.models.landing import AlreadyLanded, Conflict, Declined, Landed, PullRequest, RedTests
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, NeedsInput, Outcome, TimedOut
from dispatch.models.provider import ProviderTrouble
from dispatch.models.run import Run
from dispatch.models.settling import BeadEffect, JoinedStep, LookBack, Past
from dispatch.models.states import BeadEvent, RunState
from dispatch.results import judge, judge_landing
from dispatch.results.going_on import cooldown
from dispatch.settings import Settings

BASE, WORK, HEAD = "b" * 40, "c" * 40, "a" * 40
MERGE = Settings.model_validate({"home": Path("/srv/home")})
KEEP = Settings.model_validate({"home": Path("/srv/home"), "projects": {"shop": {"landing": "none"}}})
SHOP = ProjectId("shop")
PAST = Past(moment=datetime(2026, 9, 25, 12, tzinfo=UTC))


def _bead(**fields: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), title="Sell", project_id=SHOP, **fields)


def _run(outcome: Outcome, *, index: int = 0, commit: str | None = None, base: str | None = BASE) -> Run:
    return Run(
        id=RunId(uuid7()),
        step_id=StepId(uuid7()),
        index=index,
        project_id=SHOP,
        bead_id=BeadId("shop-1"),
        role="dev",
        attempt=1,
        timeout=timedelta(minutes=30),
        writes_branch=index == 0,
        state=RunState.SETTLED,
        outcome=outcome,
        base_sha=base,
        commit_sha=commit,
    )


def _judge(outcomes: Sequence[Run], bead: Bead | None = None, settings: Settings = MERGE) -> Any:
    joined = JoinedStep(bead=bead or _bead(), runs=outcomes)
    effect = judge(joined, settings)
    return judge(replace(joined, past=PAST), settings) if isinstance(effect, LookBack) else effect


@pytest.mark.parametrize(
    ("settings", "head", "commit", "event", "moved_to"),
    [
        pytest.param(MERGE, None, WORK, BeadEvent.AWAIT_LANDING, WORK, id="new work lands"),
        pytest.param(MERGE, HEAD, BASE, BeadEvent.AWAIT_LANDING, None, id="work of an earlier run lands"),
        pytest.param(MERGE, None, BASE, BeadEvent.FINISH, None, id="nothing to land"),
        pytest.param(MERGE, None, None, BeadEvent.FINISH, None, id="no worktree at all"),
        pytest.param(KEEP, None, WORK, BeadEvent.FINISH, WORK, id="work that stays on its branch"),
    ],
)
def test_completed_work_lands_where_there_is_some_and_the_project_wants_it(
    settings: Settings, head: str | None, commit: str | None, event: BeadEvent, moved_to: str | None
) -> None:
    effect = _judge([_run(Completed(), commit=commit)], _bead(head_sha=head, failures=2), settings)
    assert (effect.event, effect.head_sha, effect.hops) == (event, moved_to, 1)
    assert effect.failures == (2 if event is BeadEvent.AWAIT_LANDING else 0)
    assert effect.cooldown is None
    assert effect.error is None


def test_a_closing_has_the_agents_own_words_for_its_reason() -> None:
    assert _judge([_run(Completed(summary="It was so."))]).close_reason == "It was so."
    assert _judge([_run(Completed(), commit=BASE)]).close_reason == "Nothing needed doing."
    assert _judge([_run(Completed(), commit=WORK)], settings=KEEP).close_reason == "The work is done."


@pytest.mark.parametrize("outcome", [Failed(cause="tests"), TimedOut(limit_seconds=9), Looped(reason="again")])
def test_what_failed_goes_back_counts_and_cools_down(outcome: Outcome) -> None:
    effect = _judge([_run(outcome, commit=WORK)], _bead(failures=1))
    assert (effect.event, effect.hops, effect.failures, effect.head_sha) == (BeadEvent.RETURN, 1, 2, WORK)
    assert effect.cooldown == timedelta(seconds=20)
    assert effect.error
    assert effect.reason == effect.error.splitlines()[0]
    assert effect.escalation is None


@pytest.mark.parametrize("outcome", [Lost(), Cancelled(cause="handback"), NeedsInput(question="Which?")])
def test_what_did_not_fail_goes_back_and_counts_as_nothing(outcome: Outcome) -> None:
    effect = _judge([_run(outcome, commit=WORK)], _bead(failures=3))
    assert (effect.event, effect.hops, effect.failures, effect.head_sha) == (BeadEvent.RETURN, 0, 3, WORK)
    assert (effect.cooldown, effect.error) == (None, None)
    assert (effect.escalation is not None) is isinstance(outcome, NeedsInput)


def test_a_bead_that_failed_too_often_is_escalated_and_counts_anew() -> None:
    effect = _judge([_run(Failed(cause="tests", output="1 failed"))], _bead(failures=4, role_hint="dev"))
    assert effect.failures == 0
    assert effect.escalation.reason == "5 runs in a row failed"
    assert "failed: tests\n1 failed" in effect.escalation.body
    assert effect.escalation.returned_to == "dev"


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (10_000, 300)]
)
def test_the_cooldown_doubles_up_to_the_longest(failures: int, seconds: int) -> None:
    assert cooldown(failures, MERGE) == timedelta(seconds=seconds)


FAILED, ASKED, LOST, DONE = Failed(cause="x"), NeedsInput(question="?"), Lost(), Completed()


@pytest.mark.parametrize(
    ("outcomes", "event", "hops"),
    [
        ([DONE, DONE, DONE], BeadEvent.AWAIT_LANDING, 1),
        ([DONE, FAILED, DONE], BeadEvent.RETURN, 1),
        ([DONE, LOST, DONE], BeadEvent.RETURN, 0),
        ([LOST, ASKED, FAILED], BeadEvent.RETURN, 1),
        ([LOST, ASKED, DONE], BeadEvent.RETURN, 0),
    ],
)
def test_the_worst_outcome_of_a_step_speaks_for_it(outcomes: list[Outcome], event: BeadEvent, hops: int) -> None:
    runs = [_run(outcome, index=index, commit=WORK) for index, outcome in enumerate(outcomes)]
    effect = _judge(runs)
    assert (effect.event, effect.hops) == (event, hops)
    assert effect.head_sha == WORK, "what the writer did is kept whatever the others say"
    assert (effect.escalation is not None) is (ASKED in outcomes and FAILED not in outcomes)


def test_a_reviewers_commit_is_never_the_beads() -> None:
    runs = [_run(DONE, commit=BASE), _run(DONE, index=1, commit=WORK)]
    assert _judge(runs).head_sha is None


def test_a_step_without_its_writer_moves_nothing() -> None:
    assert _judge([_run(FAILED, index=1, commit=WORK)]).head_sha is None


@pytest.mark.parametrize("result", [Landed(sha=WORK, previous_sha=BASE), AlreadyLanded(sha=WORK)])
def test_landed_work_closes_its_bead(result: Any) -> None:
    effect = judge_landing(_bead(failures=2, head_sha=HEAD), result, MERGE)
    assert (effect.event, effect.failures, effect.hops, effect.head_sha) == (BeadEvent.LAND, 0, 0, WORK)
    assert effect.close_reason == "Landed on main as cccccccccccc."


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Conflict(output="README.md"), "the work conflicts with main; rebase onto it and resolve\nREADME.md"),
        (RedTests(output="1 failed", exit_code=1), "tests fail on top of main (exit 1)\n1 failed"),
        (RedTests(output="", exit_code=None), "tests fail on top of main (they did not end in time)"),
    ],
)
def test_work_that_does_not_land_goes_back_with_the_reason(result: Any, words: str) -> None:
    effect = judge_landing(_bead(failures=1, head_sha=HEAD), result, MERGE)
    assert (effect.event, effect.failures, effect.hops, effect.head_sha) == (BeadEvent.BOUNCE, 2, 0, None)
    assert words in effect.error
    assert effect.cooldown == timedelta(seconds=20)


def test_work_that_bounced_too_often_is_escalated() -> None:
    bead, conflict = _bead(failures=4, head_sha=HEAD), Conflict(output="README.md")
    assert judge_landing(bead, conflict, MERGE) == LookBack(actions=True)
    effect = judge_landing(bead, conflict, MERGE, PAST)
    assert isinstance(effect, BeadEffect)
    assert effect.escalation is not None
    assert effect.failures == 0


@pytest.mark.parametrize("failures", [0, 3, 4, 9])
def test_the_fault_of_a_provider_takes_a_bead_to_the_next_one_and_never_to_a_human(failures: int) -> None:
    """Nor is such a run a hop. From an agent that has no provider the same words are a failure like any other."""
    run = _run(Failed(cause=ProviderTrouble.BUSY, summary="main: it is busy."), commit=WORK)
    effect = _judge([replace(run, provider="main")], _bead(failures=failures))
    assert (effect.event, effect.head_sha, effect.hops, effect.escalation) == (BeadEvent.RETURN, WORK, 0, None)
    assert effect.failures == min(failures + 1, MERGE.guards.max_failures - 1)
    assert effect.cooldown == cooldown(failures + 1, MERGE)
    assert effect.error == "failed: provider rate limit\nmain: it is busy."
    plain = _judge([run], _bead(failures=failures))
    assert (plain.hops, plain.escalation is not None) == (1, failures >= 4)


def test_a_pull_request_that_was_declined_goes_to_a_human_and_is_no_failure() -> None:
    closed = PullRequest(branch="bead/shop-1", base="main", head_sha=WORK, pushed_sha=WORK, tip_sha=BASE, url="there/1")
    bead = _bead(head_sha=WORK, failures=2)
    effect = judge_landing(bead, Declined(closed), MERGE)
    assert effect == LookBack(actions=True)
    effect = judge_landing(bead, Declined(closed), MERGE, PAST)
    assert isinstance(effect, BeadEffect)
    assert (effect.event, effect.failures, effect.cooldown) == (BeadEvent.BOUNCE, 2, None)
    assert effect.error == "landing: its pull request there/1 was closed without a merge"
    assert effect.escalation is not None
    assert effect.escalation.reason == "its pull request was closed without a merge"
