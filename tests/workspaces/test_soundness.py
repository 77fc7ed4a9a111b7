"""The built-in readiness check, on real repositories in real trouble."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.guarding import Readiness
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.settings import Settings
from dispatch.workspaces import RepositoryCheck, soundness

SOUND = {"test_command": ["make", "test"]}


def _check(path: Path, **wanted: Any) -> Readiness:
    settings = Settings.model_validate({"home": "/srv/fleet", "projects": {"shop": {**SOUND, **wanted}}})
    return RepositoryCheck(settings)(Project(id=ProjectId("shop"), path=path, prefix="shop"))


def _git(path: Path, *arguments: str, fails: bool = False) -> None:
    done = subprocess.run(["git", *arguments], cwd=path, check=False, capture_output=True)
    assert (done.returncode != 0) is fails, done.stderr


@pytest.fixture
def divided(repository: Path) -> Path:
    """Given a branch `other` that conflicts with main, which is checked out."""
    for branch, text in (("other", "One.\n"), ("main", "Two.\n")):
        if branch == "other":
            _git(repository, "switch", "--quiet", "-c", branch)
        else:
            _git(repository, "switch", "--quiet", branch)
        (repository / "README.md").write_text(text)
        _git(repository, "commit", "--quiet", "-am", branch)
    return repository


def test_a_sound_repository_is_ready(repository: Path) -> None:
    assert _check(repository) == Readiness(ok=True)


def test_a_path_that_is_not_on_this_host_says_which_host_that_is(tmp_path: Path) -> None:
    found = _check(tmp_path / "nowhere")
    assert not found.ok
    assert found.issues[0].startswith(f"{tmp_path}/nowhere is not on this host (")


def test_a_directory_that_is_no_repository_is_not_ready(tmp_path: Path) -> None:
    (issue,) = _check(tmp_path).issues
    assert "not a usable git repository" in issue


def test_the_target_branch_has_to_be_there(repository: Path) -> None:
    found = _check(repository, target_branch="trunk")
    assert not found.ok
    assert "there is no branch 'trunk'" in found.issues[0]


def test_a_missing_test_command_is_an_issue_beside_others(repository: Path, tmp_path: Path) -> None:
    assert _check(repository, test_command=()) == Readiness(
        ok=False, issues=("No test command is set for [projects.shop].",)
    )
    assert len(_check(tmp_path / "nowhere", test_command=()).issues) == 2


@pytest.mark.parametrize(
    ("command", "what"),
    [(("merge", "other"), "a merge"), (("cherry-pick", "other"), "a cherry-pick")],
)
def test_what_is_half_done_on_the_target_branch_is_an_issue(divided: Path, command: Any, what: str) -> None:
    _git(divided, *command, fails=True)
    found = _check(divided)
    assert not found.ok
    assert found.issues[0] == f"There is {what} half-done in {divided}: finish or abort it."
    _git(divided, command[0], "--abort")
    assert _check(divided) == Readiness(ok=True)


def test_a_rebase_of_the_target_branch_is_an_issue(divided: Path) -> None:
    _git(divided, "rebase", "other", fails=True)
    assert _check(divided) == Readiness(
        ok=False, issues=(f"main is being rebased in {divided}: finish or abort that.",)
    )


def test_what_is_half_done_elsewhere_is_nobodys_business(divided: Path) -> None:
    _git(divided, "switch", "--quiet", "other")
    _git(divided, "merge", "main", fails=True)
    assert _check(divided) == Readiness(ok=True)


def test_uncommitted_changes_are_told_where_work_is_merged_and_stop_nothing(repository: Path) -> None:
    (repository / "new.txt").write_text("Untracked.\n")
    assert _check(repository) == Readiness(ok=True)
    (repository / "README.md").write_text("Changed.\n")
    mention = f"{repository} has changes that are not committed: work on the same files waits until they are."
    assert _check(repository) == Readiness(ok=True, issues=(mention,))
    assert _check(repository, landing="none") == Readiness(ok=True)
    _git(repository, "switch", "--quiet", "-c", "other")
    assert _check(repository) == Readiness(ok=True)


def test_a_remote_that_answers_is_no_issue(repository: Path, tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    _git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    assert _check(repository, landing="merge") == Readiness(ok=True)
    assert _check(repository) == Readiness(
        ok=False, issues=("The remote origin has no branch 'main': push one, or set target_branch of the project.",)
    )
    _git(repository, "push", "--quiet", "origin", "main")
    assert _check(repository) == Readiness(ok=True)


def test_a_host_without_the_path_asks_the_url(repository: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert _check(nowhere, url=str(repository)) == Readiness(ok=True)
    assert _check(repository, url=str(repository), use_clone=True) == Readiness(ok=True)
    found = _check(nowhere, url="http://ann:hunter2@127.0.0.1:1/shop.git")
    assert not found.ok
    (issue,) = found.issues
    assert issue.startswith("The repository at its url cannot be reached: ")
    assert "hunter2" not in issue
    assert not (tmp_path / "fleet").exists(), "asking makes no clone"


def test_a_remote_that_is_not_there_is_an_issue_without_its_password(repository: Path) -> None:
    _git(repository, "remote", "add", "backup", "http://ann:hunter2@127.0.0.1:1/shop.git")
    found = _check(repository)
    assert not found.ok
    (issue,) = found.issues
    assert issue.startswith("The remote backup cannot be reached: ")
    assert "hunter2" not in issue


def test_the_remote_that_the_branch_follows_is_asked(repository: Path, tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    _git(repository, "remote", "add", "origin", "http://127.0.0.1:1/shop.git")
    _git(repository, "remote", "add", "fork", str(tmp_path / "remote.git"))
    assert not _check(repository, landing="merge").ok
    _git(repository, "config", "branch.main.remote", "fork")
    assert _check(repository, landing="merge") == Readiness(ok=True)


def test_a_remote_that_does_not_answer_is_not_waited_for(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = tmp_path / "hangs.sh"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    _git(repository, "remote", "add", "origin", "ssh://nowhere/shop.git")
    _git(repository, "config", "core.sshCommand", str(hangs))
    monkeypatch.setattr(soundness, "REMOTE_PATIENCE", 0.2)
    assert _check(repository) == Readiness(ok=False, issues=("The remote origin does not answer within 0.2 s.",))
