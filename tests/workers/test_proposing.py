"""Beads that land by pull requests, and projects whose hosts share only a remote: the whole way, in this process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import workers.sharing
from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Failed
from dispatch.settings import Settings
from dispatch.store import FixedClock, Store
from dispatch.wiring import System, wire
from workers.collecting import collect_worktrees
from workers.execution import RunExecutor
from workers.registry import RunnerRegistry
from workers.settling import LOOK_AGAIN, land_project, settle_run

STAND_IN = """
import json, pathlib, sys
seen = pathlib.Path(__file__).with_suffix(".json")
calls = json.loads(seen.read_text()) if seen.exists() else []
seen.write_text(json.dumps([*calls, sys.argv[1:]]))
url = "https://forge.example/shop/pull/1"
sys.exit(f"a pull request for this branch already exists:\\n{url}") if calls else print(url)
"""
"""What gh does: it opens a pull request once, and says that there is one the second time."""


def git(place: Path, *arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], cwd=place, check=True, capture_output=True, text=True)
    return finished.stdout.strip()


@dataclass
class Forge:
    """The remote of the project, the program that opens pull requests there, and the systems of several hosts."""

    shop: Any
    place: Path
    project: dict[str, Any]

    @property
    def remote(self) -> Path:
        return self.place / "remote.git"

    def host(self, name: str, store: Store | None = None, **project: Any) -> System:
        values = self.shop.system.settings.model_dump()
        values |= {"home": self.place / name, "projects": {"shop": {**self.project, **project}}}
        return wire(Settings.model_validate(values), store or self.shop.store, self.shop.bus)

    def later(self, system: System, looks: int = 1) -> System:
        """The same host when pull requests were left alone for long enough, so many times."""
        with system.store.units.read() as tx:
            clock = FixedClock(tx.moment() + 2 * looks * LOOK_AGAIN)
        store = Store(system.store.engine, lease=timedelta(seconds=45), clock=clock)
        return wire(system.settings, store, self.shop.bus)

    def do(self, system: System, key: BeadKey) -> Any:
        """Let an agent of a host do a bead; return its run."""
        registry = RunnerRegistry(system.settings)
        worker = self.shop.worker
        executor = RunExecutor(system, registry, incarnation_id=lambda: worker, stopping=lambda: False)
        return self.shop.run(executor.execute(self.shop.order(key)))

    def bead(self, key: BeadKey) -> Any:
        return self.shop.store.reading.bead(key)

    def calls(self) -> list[list[str]]:
        return json.loads((self.place / "gh.json").read_text())  # type: ignore[no-any-return]

    def merge(self, branch: str, how: str = "--squash") -> str:
        theirs = self.place / "theirs"
        if not theirs.exists():
            git(self.place, "clone", "--quiet", str(self.remote), str(theirs))
            git(theirs, "config", "user.name", "Human")
            git(theirs, "config", "user.email", "human@localhost")
        git(theirs, "fetch", "--quiet", "origin")
        git(theirs, "reset", "--quiet", "--hard", "origin/main")
        git(theirs, "merge", "--quiet", how, f"origin/{branch}")
        git(theirs, "commit", "--quiet", "-m", f"Merge {branch}")
        git(theirs, "push", "--quiet", "origin", "HEAD:main")
        return git(self.remote, "rev-parse", "main")


@pytest.fixture
def forge(shop: Any, tmp_path: Path) -> Forge:
    """Given a remote, a stand-in for gh, and a project that this host has at its path."""
    git(tmp_path, "clone", "--quiet", "--bare", str(shop.repository), str(tmp_path / "remote.git"))
    git(shop.repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    (tmp_path / "gh.py").write_text(STAND_IN)
    command = (sys.executable, str(tmp_path / "gh.py"), "--head", "{branch}", "--title", "{title}")
    return Forge(shop, tmp_path, {"default_role": "dev", "pr_command": command})


def write(name: str) -> str:
    return f"pathlib.Path('{name}').write_text('{name}')"


def test_a_bead_closes_when_its_pull_request_was_merged(forge: Forge) -> None:
    """With a remote, and nothing said, work lands by a pull request."""
    host, key = forge.host("home"), forge.shop.add("a", write("a.txt"))
    settle_run(host, forge.do(host, key).id)
    before = git(forge.shop.repository, "rev-parse", "main")

    assert land_project(host, forge.shop.project.id) == 0
    assert forge.bead(key).status == "landing"
    assert forge.bead(key).refusal == (
        "Its pull request waits to be merged into main: https://forge.example/shop/pull/1"
    )
    assert forge.calls() == [["--head", "bead/a", "--title", "Do a"]]
    assert land_project(host, forge.shop.project.id) == 0, "it is left alone for a minute"
    assert land_project(forge.later(host), forge.shop.project.id) == 0

    merged = forge.merge("bead/a")
    git(forge.remote, "branch", "-D", "bead/a")
    (forge.shop.repository / ".git" / "dispatch-fetched-all").unlink()
    assert land_project(forge.later(host, 2), forge.shop.project.id) == 1

    bead = forge.bead(key)
    assert (bead.status, bead.head_sha) == ("closed", merged)
    assert forge.calls() == [["--head", "bead/a", "--title", "Do a"]], "it was opened once"
    assert git(forge.shop.repository, "rev-parse", "main") == before, "the user's branch is the user's"
    told = [event.data["reason"] for event in forge.shop.store.reading.events(key) if event.kind == "bead.proposed"]
    assert "https://forge.example/shop/pull/1" in told[-1]
    dependent = forge.shop.add("b", write("b.txt"))
    assert forge.do(host, dependent).base_sha == merged


def test_what_died_before_its_pull_request_was_written_down_is_opened_again_without_harm(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, key = forge.host("home"), forge.shop.add("a", write("a.txt"))
    settle_run(host, forge.do(host, key).id)
    note = type(host.store.pull_requests).note

    def dies_with_the_url(records: Any, key: BeadKey, now: Any) -> None:
        if now.url:
            raise ArithmeticError
        note(records, key, now)

    monkeypatch.setattr(type(host.store.pull_requests), "note", dies_with_the_url)
    assert land_project(host, forge.shop.project.id) == 0
    monkeypatch.undo()
    assert "ArithmeticError" in forge.bead(key).refusal

    assert land_project(forge.later(host), forge.shop.project.id) == 0
    assert len(forge.calls()) == 2
    assert forge.bead(key).refusal.endswith("https://forge.example/shop/pull/1")


def test_a_pull_request_that_was_closed_goes_to_a_human(forge: Forge) -> None:
    host, key = forge.host("home"), forge.shop.add("a", write("a.txt"))
    settle_run(host, forge.do(host, key).id)
    land_project(host, forge.shop.project.id)
    git(forge.remote, "branch", "-D", "bead/a")

    for looks in (1, 2):
        (forge.shop.repository / ".git" / "dispatch-fetched-all").unlink()
        assert land_project(forge.later(host, looks), forge.shop.project.id) == looks - 1

    bead = forge.bead(key)
    assert (bead.status, bead.blocked) == ("open", True)
    (entry,) = forge.shop.store.decisions.inbox()
    assert entry.decision.reason == "its pull request was closed without a merge"
    assert "https://forge.example/shop/pull/1 was not merged" in entry.decision.detail
    (error,) = forge.shop.store.settling.errors_of(key)
    assert "was closed without a merge" in error.error


def test_three_hosts_that_share_nothing_but_the_remote(forge: Forge) -> None:
    """One does the work, one settles it, one lands it by a merge; the path of the project is on none of them."""
    shared = {"url": str(forge.remote), "use_clone": True, "landing": "merge", "pr_command": ()}
    agents, settler, lander = (forge.host(name, **shared) for name in ("agents", "settler", "lander"))
    keys = [forge.shop.add(name, write(f"{name}.txt")) for name in ("a", "b")]
    runs = [forge.do(agents, key) for key in keys]
    for run in runs:
        assert settle_run(settler, run.id) is not None
    assert git(forge.remote, "for-each-ref", "refs/heads/bead") == "", "the settler makes no clone for that"
    assert collect_worktrees(agents) == 2
    assert git(forge.remote, "rev-parse", "bead/a") == runs[0].commit_sha

    assert land_project(lander, forge.shop.project.id) == 2

    assert [forge.bead(key).status for key in keys] == ["closed", "closed"]
    assert git(forge.remote, "log", "--format=%s", "main") == "Do b\nDo a\nBegin"
    assert git(forge.shop.repository, "log", "--format=%s", "main") == "Begin"
    assert git(forge.remote, "for-each-ref", "--format=%(refname)") == "refs/heads/main", "nothing else is left there"
    (agents.repository(forge.shop.project.id).path / "dispatch-fetched").unlink()
    again = forge.shop.add("c", write("c.txt"))
    assert forge.do(agents, again).base_sha == git(forge.remote, "rev-parse", "main")


def test_a_conflict_comes_back_with_where_the_target_is_and_the_next_run_elsewhere_goes_on(forge: Forge) -> None:
    shared = {"url": str(forge.remote), "use_clone": True, "landing": "merge", "pr_command": ()}
    one, two, lander = (forge.host(name, **shared) for name in ("one", "two", "lander"))
    key = forge.shop.add("a", write("README.md"))
    run = forge.do(one, key)
    settle_run(lander, run.id)
    git(forge.shop.repository, "commit", "--quiet", "--allow-empty", "-m", "Other")
    (forge.shop.repository / "README.md").write_text("Theirs.\n")
    git(forge.shop.repository, "commit", "--quiet", "-am", "Theirs")
    git(forge.shop.repository, "push", "--quiet", "origin", "main")

    assert land_project(lander, forge.shop.project.id) == 1
    (error,) = forge.shop.store.settling.errors_of(key)
    assert f"git rebase {git(forge.remote, 'rev-parse', 'main')}" in error.error
    assert "Conflicts in README.md" in error.error
    with forge.shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE beads SET cooldown_until = NULL")
    assert forge.do(two, key).base_sha == run.commit_sha


def test_work_that_cannot_be_pushed_fails_the_run_and_stays(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.sharing, "PAUSES", (0.0,))
    shared = {"url": str(forge.remote), "use_clone": True, "landing": "merge", "pr_command": ()}
    host, key = forge.host("one", **shared), forge.shop.add("a", write("a.txt"))
    refuse = forge.remote / "hooks" / "update"
    refuse.parent.mkdir(exist_ok=True)
    refuse.write_text("#!/bin/sh\nexit 1\n")
    refuse.chmod(0o755)

    run = forge.do(host, key)

    assert isinstance(run.outcome, Failed)
    assert (run.outcome.cause, run.commit_sha) == ("push", None)
    assert f"refs/dispatch/runs/{run.id}" in run.outcome.summary
    settle_run(host, run.id)
    assert collect_worktrees(host) == 0
    clone = host.repository(forge.shop.project.id).path
    assert git(clone, "show", f"refs/dispatch/runs/{run.id}:a.txt") == "a.txt", "the bead may still be worked on"
