"""An agent that goes round in circles is stopped while it runs, and one that gets on is not."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dispatch.loops import LoopRule
from dispatch.models.identity import RunId, uuid7
from dispatch.models.outcome import Cancelled, Completed, Looped, TimedOut
from dispatch.models.run import ActionRecord
from dispatch.models.states import RunState, StopReason
from tests.loops.actions import MINUTE, NOON, commands
from tests.workers.test_execution import execute, executor, git
from workers.loop_watch import LoopWatch, SteadyClock
from workers.runners import RunControl

RULE = LoopRule()
RUN = RunId(uuid7())
WRITES = "pathlib.Path('made.txt').write_text('made\\n')"
FAILING_TEST = """
import subprocess
pathlib.Path('test_it.py').write_text('def test_it():\\n    assert 1 == 2\\n')
while True:
    done = subprocess.run([{python!r}, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'test_it.py'],
                          capture_output=True, text=True)
    seen += 1
    with open({out!r}, 'a') as out:
        out.write(done.stdout)
    say(type='action', action_type='test', action_data=dict(command='pytest -q'), result=done.stdout)
    if seen == 13:
        time.sleep(600)
"""
PYTEST_SAYS = "'1 failed, 12 passed in ' + str(number) + '.' + str(number) + 's'"
REPEATS_TESTS = f"""
{WRITES}
for number in range({{count}}):
    say(type='action', action_type='test', action_data=dict(command='pytest -q'), result={{result}})
time.sleep({{then}})
"""


def repeats_tests(count: int, result: str = PYTEST_SAYS, then: float = 600) -> str:
    """An agent that writes a file, runs the tests so often, and then sleeps until it is stopped."""
    return REPEATS_TESTS.format(count=count, result=result, then=then)


def watched(actions: Sequence[ActionRecord], *, past: Sequence[ActionRecord] = (), rule: LoopRule = RULE) -> int | None:
    """Return after how many actions a run is asked to stop."""
    control = RunControl()
    watch = LoopWatch(RUN, past, rule, control)
    watch.begin(NOON)
    for count, action in enumerate(actions, start=1):
        watch.take(action)
        if control.stop_reason is not None:
            assert control.stop_reason is StopReason.LOOP
            return count
    return None


# One action after the other


def test_a_run_is_stopped_by_the_action_that_makes_it_a_loop() -> None:
    assert watched(commands(["make"] * 20)) == 13
    assert watched(commands(["make"] * 20, step=MINUTE)) == 6


def test_the_rule_is_the_one_that_is_set() -> None:
    assert watched(commands(["make"] * 20), rule=LoopRule(repeat_threshold=15)) == 15
    assert watched(commands(["make"] * 20, step=MINUTE), rule=LoopRule(progress_window=2 * MINUTE)) == 3


def test_what_an_earlier_run_had_is_no_progress_now() -> None:
    assert watched(commands(["make"] * 20), past=commands(["make"])) == 12


def test_what_an_earlier_run_repeated_is_not_held_against_this_one() -> None:
    assert watched(commands(["make"] * 3), past=commands(["make"] * 50)) is None


def test_polling_with_changing_results_is_not_stopped() -> None:
    assert watched(commands([f"poll={number} done" for number in range(100)], step=MINUTE)) is None


def test_the_time_before_the_agent_began_is_not_its_own() -> None:
    past = commands(["make"], step=MINUTE)
    assert watched(commands(["make"] * 4, step=MINUTE), past=past) is None


def test_the_reason_is_told_where_the_watch_had_it_stopped_and_nowhere_else() -> None:
    watch = LoopWatch(RUN, (), RULE, RunControl())
    plain = Looped(reason="the agent repeated itself without progress")
    assert watch.explain(plain) == plain
    for action in commands(["make"] * 20):
        watch.take(action)
    reason = "It did `command make` 13 times with the same result, without progress in the last 12 actions."
    assert watch.explain(plain) == Looped(reason=reason)
    for other in (Completed(), TimedOut(limit_seconds=1), Cancelled(cause="cancel")):
        assert watch.explain(other) == other


def test_the_time_of_a_run_only_goes_forward() -> None:
    now = SteadyClock()
    first, second = now(), now()
    assert first <= second
    assert second.tzinfo is not None


# A real agent


def test_a_real_failing_test_that_is_run_again_and_again_is_stopped_though_its_duration_differs(
    shop: Any, tmp_path: Any
) -> None:
    """pytest itself, with a window so short that its third run is one too many."""
    settings = shop.system.settings
    guards = settings.guards.model_copy(update={"progress_window": timedelta(milliseconds=1)})
    object.__setattr__(shop.system, "settings", settings.model_copy(update={"guards": guards}))
    out = tmp_path / "said.txt"
    run = execute(shop, "seen = 0" + FAILING_TEST.format(python=sys.executable, out=str(out)), timeout=90)
    assert isinstance(run.outcome, Looped), run.outcome
    assert run.outcome.reason.startswith("It did `test pytest -q` ")
    assert 3 <= out.read_text().count("1 failed in ") < 13
    assert git(shop, "show", f"{run.commit_sha}:test_it.py").startswith("def test_it")


def test_a_test_that_fails_in_always_another_time_is_stopped_while_it_runs_and_its_work_is_kept(shop: Any) -> None:
    run = execute(shop, repeats_tests(13), timeout=60)
    assert run.state is RunState.REPORTED
    reason = "It did `test pytest -q` 13 times with the same result, without progress in the last 12 actions."
    assert run.outcome == Looped(reason=reason)
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"
    assert len(shop.store.reading.actions(run.id)) == 13


@pytest.mark.parametrize(
    "result",
    ["str(number) + ' of 40 jobs done'", "'1 failed, ' + str(number) + ' passed in 0.52s'"],
    ids=["polling", "a test that gets on"],
)
def test_an_agent_with_changing_results_runs_to_its_end(shop: Any, result: str) -> None:
    assert execute(shop, repeats_tests(40, result, then=0)).outcome == Completed()


def test_a_second_attempt_is_judged_by_what_the_first_one_had(shop: Any) -> None:
    """Twelve times what was had before is one too many; for a first attempt the first of them is new."""
    ends_once = "if assignment['attempt'] == 1:\n    raise SystemExit(1)\ntime.sleep(600)"
    key = shop.add("a", repeats_tests(12, then=0) + ends_once)
    first = shop.order(key)
    assert shop.run(executor(shop).execute(first)).outcome.kind == "failed"
    shop.system.results.settle(first.run_id)
    with shop.store.units.begin() as tx:
        tx.run("UPDATE beads SET cooldown_until = NULL")
    again = shop.order(key)
    assert isinstance(shop.run(executor(shop).execute(again)).outcome, Looped)


def test_an_agent_that_has_said_its_result_is_not_called_looped(shop: Any) -> None:
    says = "say(type='result', outcome='completed')"
    assert execute(shop, f"{says}\n{repeats_tests(13, then=0)}").outcome == Completed()
