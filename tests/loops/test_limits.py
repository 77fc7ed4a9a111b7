"""How many runs a bead may have, and what it has to show for them."""

from datetime import timedelta

import pytest

from dispatch.loops import LoopRule, is_ping_pong, judge_runs, most_hops, near_limit
from dispatch.models.identity import AgentId, uuid7
from tests.loops.actions import act, commands

RULE = LoopRule()
NEW = commands(["cat a.py", "make=1 error"])
A, B, C = (AgentId(uuid7()) for _ in range(3))


def test_a_run_that_did_something_new_made_progress() -> None:
    assert judge_runs(NEW, commands(["cat a.py", "make=2 errors"]), RULE).verdict == (False, "")
    assert judge_runs((), NEW, RULE).verdict == (False, "")


def test_a_run_without_recorded_actions_made_none() -> None:
    stuck, reason = judge_runs(NEW, (), RULE).verdict
    assert stuck
    assert reason == "Its last run recorded no action."


def test_a_run_that_did_only_what_was_had_before_made_none() -> None:
    stuck, reason = judge_runs(NEW, NEW, RULE).verdict
    assert stuck
    assert reason == "Its last run did nothing that had not been done before, with the same results."


def test_a_cycle_goes_from_run_to_run() -> None:
    """Each run does the same two things; together they are a cycle, and that is the better reason."""
    stuck, reason = judge_runs(NEW * 7, NEW, RULE).verdict
    assert stuck
    assert reason.startswith("It went 8 times through `command cat a.py`, then `command make`, each time with the same")


def test_a_run_that_got_on_and_then_went_round_is_stuck() -> None:
    stuck, reason = judge_runs(NEW, [act("edit", "a.py"), *commands(["pytest"] * 13)], RULE).verdict
    assert stuck
    assert "`command pytest` 13 times" in reason


def test_the_rule_is_the_one_that_is_given() -> None:
    last = [act("edit", "a.py"), *commands(["pytest"] * 3, step=timedelta(minutes=2))]
    assert not judge_runs(NEW, last, RULE).verdict.stuck
    assert judge_runs(NEW, last, LoopRule(progress_window=timedelta(minutes=4))).verdict.stuck
    assert not judge_runs(NEW, last, LoopRule(4, timedelta(minutes=4))).verdict.stuck


def test_the_history_of_all_runs_comes_with_the_verdict() -> None:
    history, _ = judge_runs(NEW, [act("edit", "a.py")], RULE)
    assert (history.metrics.commands_executed, history.metrics.files_modified) == (2, 1)


@pytest.mark.parametrize(
    ("hops", "beginnings"),
    [
        (0, []),
        (18, []),
        (19, ["This is run 20 of this bead; the limit is 20. "]),
        (20, ["This is run 21 of this bead; the limit is 20. "]),
        (98, ["This is run 99 of this bead; the limit is 20. "]),
        (99, ["This is run 100 of this bead, the last one: "]),
        (100, ["This is run 101 of this bead, the last one: "]),
    ],
)
def test_from_one_hop_before_the_limit_on_a_run_is_told(hops: int, beginnings: list[str]) -> None:
    told = near_limit(hops, 20)
    assert [sentence[: len(beginning)] for sentence, beginning in zip(told, beginnings, strict=True)] == beginnings


def test_five_times_the_limit_is_the_end() -> None:
    assert most_hops(20) == 100
    assert "after run 100 in any case" in near_limit(19, 20)[0]


def test_a_limit_that_was_raised_after_some_runs_counts_from_there() -> None:
    assert most_hops(20, allowance=25) == 125
    assert near_limit(43, 20, allowance=25) == ()
    (told,) = near_limit(44, 20, allowance=25)
    assert told.startswith("This is run 45 of this bead; the limit is 45.")
    assert "after run 125 in any case" in told
    assert near_limit(124, 20, allowance=25)[0].startswith("This is run 125 of this bead, the last one")


@pytest.mark.parametrize(
    ("agents", "answer"),
    [
        ([A, B, A, B, A, B], True),
        ([C, B, A, B, A, B, A], True),
        ([A, B, A, B, A], False),
        ([A, A, A, A, A, A], False),
        ([A, B, A, B, B, A], False),
        ([A, B, A, B, A, C], False),
        ([C, B, A, B, A, B], False),
        ([A, B, A, B, None, B], False),
        ([None, B, None, B, None, B], False),
        ([], False),
    ],
)
def test_six_runs_that_alternate_between_exactly_two_agents_are_a_ping_pong(
    agents: list[AgentId | None], answer: bool
) -> None:
    assert is_ping_pong(agents) is answer
