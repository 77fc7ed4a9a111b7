"""The commits of a bead's work, told by the repository alone."""

import subprocess
from pathlib import Path

import pytest

from dispatch.errors import GitError
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.workspaces import Repository, commits_of_work


def git(place: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(place: Path, name: str) -> str:
    (place / name).write_text(name)
    git(place, "add", name)
    git(place, "commit", "--quiet", "-m", name)
    return git(place, "rev-parse", "HEAD")


def test_they_are_those_that_the_target_branch_has_not_oldest_first(repository: Path) -> None:
    git(repository, "switch", "--quiet", "-c", "work")
    made = [commit(repository, name) for name in ("a", "b", "c")]
    target = Repository(repository, "main")
    assert commits_of_work(target, made[-1]) == CommitRange(made[0], made[-1], 3)
    assert commits_of_work(target, made[0]) == CommitRange(made[0], made[0], 1)
    assert commits_of_work(target, git(repository, "rev-parse", "main")) == NO_COMMITS


def test_what_came_from_the_target_branch_is_not_the_agents(repository: Path) -> None:
    git(repository, "switch", "--quiet", "-c", "work")
    first = commit(repository, "a")
    git(repository, "switch", "--quiet", "main")
    commit(repository, "theirs")
    git(repository, "switch", "--quiet", "work")
    git(repository, "merge", "--quiet", "--no-edit", "main")
    merged = git(repository, "rev-parse", "HEAD")
    assert commits_of_work(Repository(repository, "main"), merged) == CommitRange(first, merged, 2)
    git(repository, "reset", "--quiet", "--hard", first)
    git(repository, "rebase", "--quiet", "main")
    rebased = git(repository, "rev-parse", "HEAD")
    assert commits_of_work(Repository(repository, "main"), rebased) == CommitRange(rebased, rebased, 1)


@pytest.mark.parametrize(("branch", "head"), [("nowhere", "HEAD"), ("main", "0" * 40), ("main", "--all")])
def test_an_unknown_end_is_an_error(repository: Path, branch: str, head: str) -> None:
    with pytest.raises(GitError):
        commits_of_work(Repository(repository, branch), head)


@pytest.mark.parametrize(
    ("commits", "said"),
    [
        (NO_COMMITS, "no commits"),
        (CommitRange("a" * 40, "a" * 40, 1), "1 commit, aaaaaaaaaaaa"),
        (CommitRange("a" * 40, "b" * 40, 3), "3 commits, aaaaaaaaaaaa to bbbbbbbbbbbb"),
    ],
)
def test_a_range_is_told_in_few_words(commits: CommitRange, said: str) -> None:
    assert str(commits) == said
