"""The commits of a bead's work are counted where they are made, and kept on the bead."""

from textwrap import indent
from typing import Any

import pytest

from dispatch.errors import GitError
from dispatch.models.outcome import Completed, Failed
from dispatch.models.progress import NO_COMMITS, CommitRange
from tests.workers.test_execution import execute, executor, git

COMMITS = """
import subprocess
name = f"made-{assignment['attempt']}.txt"
pathlib.Path(name).write_text('made')
subprocess.run(['git', 'add', '.'], check=True)
subprocess.run(['git', '-c', 'user.name=A', '-c', 'user.email=a@b', 'commit', '--quiet', '-m', 'Mine'], check=True)
pathlib.Path('rest-' + name).write_text('rest')
"""
FAILS_FIRST = f"{COMMITS}\nraise SystemExit(assignment['attempt'] == 1)"


def settle(shop: Any, run: Any) -> Any:
    shop.system.results.settle(run.id)
    with shop.store.units.begin() as tx:
        tx.run("UPDATE beads SET cooldown_until = NULL")
    return shop.store.reading.bead(run.bead_key)


def test_the_agents_own_commits_and_the_last_one_are_counted_from_run_to_run(shop: Any) -> None:
    run = execute(shop, FAILS_FIRST)
    assert isinstance(run.outcome, Failed)
    first = git(shop, "rev-parse", f"{run.commit_sha}^")
    assert run.commits == CommitRange(first, run.commit_sha, 2)
    assert settle(shop, run).commits == run.commits
    again = shop.run(executor(shop).execute(shop.order(run.bead_key)))
    assert again.commits == CommitRange(first, again.commit_sha, 4)
    assert settle(shop, again).commits == again.commits


def test_a_run_that_left_no_commit_leaves_the_range_as_it_was(shop: Any) -> None:
    run = execute(shop, f"if assignment['attempt'] == 1:\n{indent(COMMITS, '    ')}")
    before = settle(shop, run).commits
    with shop.store.units.begin() as tx:
        tx.run("UPDATE beads SET status = 'open'")
    again = shop.run(executor(shop).execute(shop.order(run.bead_key)))
    assert again.commits == NO_COMMITS
    assert before.count == 2
    assert settle(shop, again).commits == before


def test_counting_that_fails_costs_no_work(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> CommitRange:
        raise GitError(command="rev-list", place="here", code=128, output="disk full")

    monkeypatch.setattr("workers.attempt.commits_of_work", broken)
    run = execute(shop, COMMITS)
    assert (run.outcome, run.commits) == (Completed(), NO_COMMITS)
    assert git(shop, "show", f"{run.commit_sha}:made-1.txt") == "made"
