"""What is kept of a bead's actions."""

from datetime import timedelta

import pytest

from dispatch.loops import BeadHistory, ProgressMetrics
from dispatch.loops.repetition import Cycle
from tests.loops.actions import MINUTE, NOON, act, commands


def test_progress_is_an_action_with_a_result_that_was_not_had_before() -> None:
    history = BeadHistory()
    told = [
        (act("read", "a.py", "one"), True),
        (act("read", "a.py", "one"), False),
        (act("read", "b.py", "one"), True),
        (act("edit", "a.py", "two"), True),
        (act("read", "a.py", "two"), True),
        (act("edit", "a.py", "one"), True),
        (act("edit", "a.py", "two"), False),
        (act("test", "pytest", "1 failed"), True),
        (act("test", "pytest", "2 failed"), True),
        (act("test", "pytest", "1 failed"), False),
    ]
    for action, progress in told:
        assert history.add(action) is progress, action
    assert history.quiet_actions == 1


def test_a_command_that_alternates_between_two_results_makes_no_progress() -> None:
    history = BeadHistory.of(commands(["make=a", "make=b"] * 4))
    assert history.quiet_actions == 6
    assert history.cycle(3) == Cycle(2, 4)


def test_the_last_fifty_are_kept_as_they_are() -> None:
    actions = commands(map(str, range(60)))
    assert BeadHistory.of(actions).recent == tuple(actions[-50:])


def test_the_moment_of_the_last_progress_is_that_of_its_action() -> None:
    history = BeadHistory.of(commands(["a", "b", "b", "a"], step=MINUTE))
    assert history.quiet_since == history.metrics.last_progress == NOON + MINUTE
    assert history.last_moment == NOON + 3 * MINUTE


def test_what_was_done_is_counted() -> None:
    history = BeadHistory.of(
        [
            act("read", "a.py"),
            act("read", "a.py"),
            act("edit", "a.py"),
            act("test", "pytest"),
            act("command", "ls", at=MINUTE),
            act("command", "cat b.py | head", at=2 * MINUTE),
            act("think", at=2 * MINUTE),
        ]
    )
    assert history.metrics == ProgressMetrics(
        files_read=4, files_modified=1, tests_run=1, commands_executed=2, last_progress=NOON + 2 * MINUTE
    )


def test_metrics_read_as_a_sentence() -> None:
    metrics = ProgressMetrics(files_read=4, files_modified=1, commands_executed=2, last_progress=NOON)
    said = "Files read: 4, files modified: 1, tests run: 0, commands executed: 2, last progress: "
    assert str(metrics) == f"{said}2026-09-25 12:00:00 UTC."
    assert str(ProgressMetrics()).endswith("commands executed: 0, last progress: never.")


def test_moments_without_a_time_zone_are_utc() -> None:
    naive = NOON.replace(tzinfo=None)
    history = BeadHistory()
    history.begin_run(naive)
    assert history.quiet_since == NOON
    assert history.last_moment is None


def test_a_run_that_begins_knows_what_was_had_and_counts_anew() -> None:
    history = BeadHistory.of(commands(["a", "b", "b", "b"]))
    history.begin_run(NOON + MINUTE)
    assert (history.quiet_actions, history.quiet_since) == (0, NOON + MINUTE)
    assert history.metrics.last_progress == NOON
    assert history.cycle(2) is None
    assert not history.add(act("command", "b"))
    assert not history.add(act("command", "b"))
    assert history.cycle(2) == Cycle(1, 2)
    assert history.cycle(3) is None, "what the last run repeated is not this one's"


@pytest.mark.parametrize("name", ["sha", "commit_sha", "commit"])
def test_commits_among_the_actions_are_noted(name: str) -> None:
    shas = ["a1", "a1", "b2", "c3"]
    history = BeadHistory.of(act("git_commit", **{name: sha}) for sha in shas)
    assert history.commits == ("a1", "c3", 3)


def test_commits_of_the_runs_can_be_noted_without_being_actions() -> None:
    history = BeadHistory()
    assert history.commits == ("", "", 0)
    for sha in ("a1", "", "b2"):
        history.add_commit(sha)
    assert history.commits == ("a1", "b2", 2)
    assert not history.recent


def test_a_commit_without_its_name_is_an_action_only() -> None:
    history = BeadHistory.of([act("commit", message="Begin")])
    assert history.commits == ("", "", 0)
    assert history.add(act("commit", message="Begin", at=timedelta(hours=1))) is False
