"""The rules for any sequence of actions: against their plainest form, for planted cycles, for what is always new."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.loops import BeadHistory, LoopRule, judge_loop
from dispatch.models.run import ActionRecord

Pair = tuple[str, str]

RULE = LoopRule()
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
names = st.sampled_from("abc")
pairs = st.tuples(names, names)
any_pairs = st.tuples(st.text(max_size=3), st.text(max_size=3))
moments = st.builds(
    lambda seconds, naive: (BEGIN + timedelta(seconds=seconds)).replace(tzinfo=None if naive else UTC),
    st.integers(-86_400, 86_400),
    st.booleans(),
)
thresholds = st.integers(2, 5)
relaxed = settings(deadline=None, max_examples=200)


def action(pair: Pair, moment: datetime = BEGIN) -> ActionRecord:
    name, result = pair
    return ActionRecord(
        timestamp=moment, action_type="command", action_data={"command": f"do {name}"}, result_hash=f"came {result}"
    )


def is_cycle(tail: Sequence[Pair], length: int, times: int) -> bool:
    return len(tail) == length * times and list(tail) == list(tail[:length]) * times


def plainly_stuck(done: Sequence[tuple[Pair, datetime]], threshold: int, now: datetime) -> bool:
    """The rule as it is written, from the whole sequence."""
    all_pairs = [pair for pair, _ in done]
    new = [number for number, pair in enumerate(all_pairs) if pair not in all_pairs[:number]]
    if not new:
        return False
    over_time = now - done[new[-1]][1] >= RULE.progress_window
    over_actions = len(done) - 1 - new[-1] >= 12
    repeated = any(is_cycle(all_pairs[-length * threshold :], length, threshold) for length in range(1, 6))
    return (over_time or over_actions) and repeated


@relaxed
@given(st.lists(st.tuples(pairs, st.integers(0, 120)), max_size=40), thresholds, st.none() | st.integers(-600, 900))
def test_every_verdict_is_that_of_the_plain_rule(steps, threshold, later) -> None:
    history, done, moment = BeadHistory(), [], BEGIN
    rule = LoopRule(threshold)
    for pair, seconds in steps:
        moment += timedelta(seconds=seconds)
        done.append((pair, moment))
        history.add(action(pair, moment))
        now = None if later is None else moment + timedelta(seconds=later)
        assert judge_loop(history, rule, now).stuck == plainly_stuck(done, threshold, now or moment)


@relaxed
@given(
    st.lists(pairs | any_pairs, max_size=60), st.lists(any_pairs, min_size=1, max_size=5), st.lists(moments, min_size=1)
)
def test_a_planted_cycle_is_found_after_anything_and_whatever_the_clocks_say(prefix, cycle, clock) -> None:
    history = BeadHistory()
    for number, pair in enumerate([*prefix, *cycle]):
        history.add(action(pair, clock[number % len(clock)]))
    for number in range(12):
        history.add(action(cycle[number % len(cycle)], clock[number % len(clock)]))
    stuck, reason = judge_loop(history, RULE)
    assert stuck
    assert reason.startswith("It ")
    assert reason.endswith(".")
    assert "\n" not in reason


@relaxed
@given(st.lists(any_pairs, unique=True, max_size=60), st.lists(moments, min_size=1), thresholds, st.none() | moments)
def test_what_is_always_new_is_never_a_loop(done, clock, threshold, now) -> None:
    history = BeadHistory()
    for number, pair in enumerate(done):
        assert history.add(action(pair, clock[number % len(clock)])) is True
        assert judge_loop(history, LoopRule(threshold), now) == (False, "")


@relaxed
@given(st.lists(pairs, max_size=60), st.integers(0, 60))
def test_a_history_made_again_from_what_is_stored_goes_on_the_same(done, cut) -> None:
    records = [action(pair, BEGIN + timedelta(seconds=20 * number)) for number, pair in enumerate(done)]
    live, again = BeadHistory.of(records), BeadHistory.of(records[:cut])
    for record in records[cut:]:
        again.add(record)
    assert again.metrics == live.metrics
    assert again.recent == live.recent
    assert judge_loop(again, RULE) == judge_loop(live, RULE)
