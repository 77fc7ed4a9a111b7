"""A real repository with one commit on `main`, and the worktrees of its runs."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dispatch.models.identity import BeadId, ProjectId, RunId, StepId, uuid7
from dispatch.models.project import Project
from dispatch.models.run import Run
from dispatch.settings import Settings
from dispatch.workspaces import Repository, WorktreeManager, find_repository

SHOP = ProjectId("shop")


def git(place: Path, *arguments: str, check: bool = True) -> str:
    """Call git the way an agent or a user does."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    finished = subprocess.run(["git", *arguments], cwd=place, env=env, capture_output=True, text=True, check=False)
    assert finished.returncode == 0 or not check, finished.stdout + finished.stderr
    return finished.stdout.rstrip("\n")


@dataclass(frozen=True)
class Shop:
    """A project's repository as its user sees it."""

    path: Path

    def git(self, *arguments: str, check: bool = True) -> str:
        return git(self.path, *arguments, check=check)

    def commit(self, files: dict[str, str], message: str = "a change", place: Path | None = None) -> str:
        """Write files, commit them in `place` (the user's checkout unless given) and return the commit."""
        where = place or self.path
        for name, content in files.items():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            (where / name).write_text(content)
        git(where, "add", "--all")
        git(where, "commit", "--quiet", "-m", message)
        return git(where, "rev-parse", "HEAD")

    def tip(self, name: str = "main") -> str:
        return self.git("rev-parse", name)

    def files(self, commit: str) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", "-z", commit).rstrip("\0").split("\0")

    def content(self, commit: str, name: str) -> str:
        return self.git("show", f"{commit}:{name}")

    def mode(self, commit: str, name: str) -> str:
        return self.git("ls-tree", commit, "--", name).split()[0]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "user"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Ursula User\n\temail = ursula@example.org\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    path = tmp_path / "shop"
    path.mkdir()
    git(path, "init", "--quiet", "-b", "main")
    made = Shop(path)
    made.commit({"readme": "hello\n", "src/app.py": "print(1)\n", ".gitignore": "*.log\n"}, "first")
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "worktrees"


@pytest.fixture
def worktrees(root: Path, shop: Shop) -> WorktreeManager:
    return WorktreeManager(root, lambda _: Repository(shop.path, "main"))


@dataclass(frozen=True)
class Remote:
    """A bare repository that hosts share, and what others do to it from a checkout of theirs."""

    path: Path
    theirs: Shop

    def git(self, *arguments: str, check: bool = True) -> str:
        return git(self.path, *arguments, check=check)

    def tip(self, name: str = "main") -> str:
        return self.git("rev-parse", "--verify", "--quiet", name, check=False)

    def commit(self, files: dict[str, str], message: str = "theirs") -> str:
        """Commit on main as somebody else, and push that."""
        self.theirs.git("pull", "--quiet", "--rebase", "origin", "main")
        sha = self.theirs.commit(files, message)
        self.theirs.git("push", "--quiet", "origin", "main")
        return sha

    def refs(self, under: str) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname)", under).split()


@pytest.fixture
def remote(tmp_path: Path, shop: Shop) -> Remote:
    """Given a bare repository with main on it, and somebody else's checkout."""
    path = tmp_path / "remote.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(shop.path), str(path))
    git(tmp_path, "clone", "--quiet", str(path), str(tmp_path / "theirs"))
    return Remote(path, Shop(tmp_path / "theirs"))


class Host:
    """One host of several: a home of its own, and a project whose path it does not have."""

    def __init__(self, home: Path, url: str, **project: object) -> None:
        self.home = home
        self.settings = Settings.model_validate({"home": home, "projects": {"shop": {"url": url, **project}}})
        self.project = Project(id=SHOP, path=home / "nowhere", prefix="shop")
        self.root = home / "worktrees"
        self.worktrees = WorktreeManager(self.root, lambda _: self.repository())

    def repository(self) -> Repository:
        return find_repository(self.project, self.settings)

    def git(self, *arguments: str, check: bool = True) -> str:
        return git(self.repository().path, *arguments, check=check)

    def work(self, run: Run, files: dict[str, str], needs: Sequence[str] = ()) -> str:
        """Do a run: its worktree, its files, its commit, shared."""
        made = self.worktrees.create(run, needs)
        for name, content in files.items():
            (made.path / name).write_text(content)
        sha = self.worktrees.commit_all(run, f"Add {', '.join(files)}")
        self.worktrees.share(run, sha)
        self.worktrees.remove(run)
        return sha


@pytest.fixture
def host(tmp_path: Path, remote: Remote) -> Callable[..., Host]:
    """Given hosts that have nothing in common but the remote."""
    return lambda name, **project: Host(tmp_path / name, str(remote.path), **project)


@pytest.fixture
def new_run() -> Callable[..., Run]:
    def make(base_sha: str | None = None) -> Run:
        return Run(
            id=RunId(uuid7()),
            step_id=StepId(uuid7()),
            index=0,
            project_id=SHOP,
            bead_id=BeadId("shop-1"),
            role="backend-engineer",
            attempt=1,
            timeout=timedelta(minutes=1),
            base_sha=base_sha,
        )

    return make
