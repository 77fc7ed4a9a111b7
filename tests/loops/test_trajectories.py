"""Measured on what real agents did: no false alarm, and every planted loop found."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dispatch.loops import BeadHistory, LoopRule, judge_loop, suggest_next_steps
from dispatch.models.run import ActionRecord
from tests.loops.actions import act

RULE = LoopRule()
STEPS = [timedelta(), timedelta(seconds=20), timedelta(minutes=10)]
"""Between two actions; with the longest there never is progress within the window, and only rounds count."""
SOON = 15


@dataclass(frozen=True)
class Trajectory:
    instance: str
    resolved: bool
    actions: list[tuple[str, str]]

    def records(self, step: timedelta) -> list[ActionRecord]:
        return [record(pair, number, step) for number, pair in enumerate(self.actions)]


def record(pair: tuple[str, str], number: int, step: timedelta) -> ActionRecord:
    return act("command", *pair, at=number * step)


@pytest.fixture
def trajectories(sample: Callable[[str], Path]) -> list[Trajectory]:
    """Given the runs of the sample; an action is a command, its result the return code and a hash of the output."""

    def read() -> Iterator[Trajectory]:
        with sample("trajectories.jsonl").open() as lines:
            for run in map(json.loads, lines):
                actions = [(command, f"{code} {output}") for command, code, output in run["actions"]]
                yield Trajectory(run["instance"], run["resolved"], actions)

    runs = list(read())
    assert sum(run.resolved for run in runs) >= 30
    return runs


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_run_that_came_to_its_end_is_never_called_stuck(trajectories: list[Trajectory], step: timedelta) -> None:
    for run in trajectories:
        history = BeadHistory()
        for action in run.records(step) if run.resolved else ():
            history.add(action)
            verdict = judge_loop(history, RULE)
            assert not verdict.stuck, f"{run.instance}: {verdict.reason}"


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_a_run_that_repeats_its_last_actions_is_found(
    trajectories: list[Trajectory], length: int, step: timedelta
) -> None:
    for run in trajectories:
        for end in (len(run.actions) // 2, len(run.actions)):
            history = BeadHistory.of(run.records(step)[:end])
            assert actions_until_found(history, run.actions[end - length : end], end, step) <= SOON, run.instance


def actions_until_found(history: BeadHistory, cycle: list[tuple[str, str]], begin: int, step: timedelta) -> int:
    """Repeat the cycle, and return after how many actions it is called a loop; one more than looked for if never."""
    for count in range(1, SOON + 1):
        history.add(record(cycle[(count - 1) % len(cycle)], begin + count, step))
        if judge_loop(history, RULE).stuck:
            return count
    return SOON + 1


def test_what_an_agent_with_a_shell_did_is_not_called_untried(trajectories: list[Trajectory]) -> None:
    for run in trajectories:
        (said,) = suggest_next_steps(BeadHistory.of(run.records(timedelta())))
        assert said.startswith("It read, changed, ran and tested"), run.instance
