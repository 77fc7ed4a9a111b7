"""When a bead is stuck, and how that is said."""

from datetime import timedelta

import pytest

from dispatch.errors import UsageError
from dispatch.loops import BeadHistory, LoopRule, Verdict, judge_loop
from tests.loops.actions import MINUTE, NOON, act, commands

RULE = LoopRule()
SECOND = timedelta(seconds=1)
FINE = Verdict(stuck=False)


def found_at(words: list[str], *, step: timedelta = SECOND, rule: LoopRule = RULE) -> int | None:
    """Return after how many actions the bead is first called stuck."""
    history = BeadHistory()
    for count, action in enumerate(commands(words, step=step), start=1):
        history.add(action)
        if judge_loop(history, rule).stuck:
            return count
    return None


def test_the_same_action_with_the_same_result_is_a_loop_after_twelve_without_progress() -> None:
    assert found_at(["make"] * 20) == 13


def test_or_after_five_minutes_without_progress() -> None:
    assert found_at(["make"] * 20, step=MINUTE) == 6
    assert found_at(["make"] * 20, step=3 * MINUTE) == 3
    assert found_at(["make"] * 20, step=timedelta(hours=1)) == 3, "three rounds it takes at least"


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_a_cycle_of_up_to_five_is_a_loop(length: int) -> None:
    assert found_at(list("abcde"[:length]) * 20) == length + 12


def test_a_longer_round_is_none() -> None:
    assert found_at(list("abcdef") * 20) is None


def test_polling_with_changing_results_is_no_loop() -> None:
    assert found_at([f"poll={number} done" for number in range(100)], step=MINUTE) is None


def test_one_command_that_alternates_between_two_results_is_a_loop() -> None:
    assert found_at(["make=a", "make=b"] * 20) == 14


def test_reading_what_was_read_is_no_progress_but_no_loop_without_a_cycle() -> None:
    files = [f"cat {number}" for number in range(20)]
    assert found_at(files + files, step=MINUTE) is None


def test_a_loop_ends_with_the_first_thing_that_is_new() -> None:
    history = BeadHistory.of(commands(["make"] * 20))
    assert judge_loop(history, RULE).stuck
    history.add(act(result="another"))
    assert judge_loop(history, RULE) == FINE


def test_the_moment_is_that_of_the_last_action_unless_given() -> None:
    history = BeadHistory.of(commands(["make"] * 3, step=SECOND))
    assert judge_loop(history, RULE) == FINE
    assert judge_loop(history, RULE, NOON + 5 * MINUTE - SECOND) == FINE
    assert judge_loop(history, RULE, NOON + 5 * MINUTE).stuck
    assert judge_loop(history, RULE, (NOON + 5 * MINUTE).replace(tzinfo=None)).stuck
    assert judge_loop(history, RULE, NOON - timedelta(days=1)) == FINE


def test_a_clock_that_was_set_back_raises_no_alarm() -> None:
    history = BeadHistory.of([act("read", "a", at=timedelta(hours=1)), *commands(["make"] * 3, step=SECOND)])
    assert judge_loop(history, RULE) == FINE


def test_the_time_between_two_runs_is_not_the_agents() -> None:
    history = BeadHistory.of(commands(["make", "make"]))
    next_day = NOON + timedelta(days=1)
    history.begin_run(next_day)
    history.add(act(at=timedelta(days=1)))
    assert judge_loop(history, RULE) == FINE
    for _ in range(2):
        history.add(act(at=timedelta(days=1)))
    assert judge_loop(history, RULE, next_day + 4 * MINUTE) == FINE
    assert judge_loop(history, RULE, next_day + 5 * MINUTE).stuck


def test_nothing_was_done_and_nothing_is_said() -> None:
    history = BeadHistory()
    assert judge_loop(history, RULE, NOON) == (False, "")
    history.begin_run(NOON)
    assert judge_loop(history, RULE, NOON + timedelta(days=1)) == (False, "")


def test_the_threshold_is_never_below_two() -> None:
    for threshold in (2, 1, 0, -5):
        assert LoopRule(threshold).repeat_threshold == 2
    assert found_at(["make"] * 20, step=6 * MINUTE, rule=LoopRule(1)) == 2
    assert found_at(["make"] * 100, rule=LoopRule(60)) == 60, "more than are kept hot"


def test_a_window_has_a_length() -> None:
    with pytest.raises(UsageError, match=r"^progress_window is negative \(-1 s\)\. Give the time"):
        LoopRule(progress_window=-SECOND)
    assert found_at(["make"] * 20, rule=LoopRule(progress_window=timedelta())) == 3


@pytest.mark.parametrize(
    ("words", "step", "reason"),
    [
        (
            ["pytest -q"] * 14,
            SECOND,
            "It did `command pytest -q` 14 times with the same result, without progress in the last 13 actions.",
        ),
        (
            ["a", "make=1", "make=2", "pytest", *["cat a.py", "pytest"] * 3],
            MINUTE,
            "It went 3 times through `command cat a.py`, then `command pytest`, each time with the same results,"
            " without progress for 5m.",
        ),
        (
            ["make"] * 3,
            timedelta(minutes=40, seconds=1.2),
            "It did `command make` 3 times with the same result, without progress for 1h20m2s.",
        ),
    ],
)
def test_the_reason_is_one_sentence_that_names_the_actions_and_how_often(
    words: list[str], step: timedelta, reason: str
) -> None:
    history = BeadHistory.of(commands(words, step=step))
    assert judge_loop(history, RULE) == (True, reason)


def test_a_long_command_is_named_by_its_beginning_on_one_line() -> None:
    command = "cat <<'EOF' > a.py\n" + "x = `1`\n" * 100
    reason = judge_loop(BeadHistory.of(commands([command.replace("=", ":")] * 20)), RULE).reason
    assert reason.startswith("It did `command cat <<'EOF' > a.py x : '1' x : '1'")
    assert "...` 20 times" in reason
    assert len(reason) < 200
    assert "\n" not in reason


def test_an_action_of_neither_file_nor_command_is_named_by_its_data() -> None:
    history = BeadHistory.of(act("search", at=minute * MINUTE, path=None, query="tax") for minute in range(9))
    assert judge_loop(history, RULE).reason.startswith('It did `search {"path": null, "query": "tax"}` 9 times')
