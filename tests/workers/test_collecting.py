"""What ended runs left is cleared away, and work is never thrown away with it."""

import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.dispatcher.status import why_parked
from dispatch.errors import RefusedError
from dispatch.models.dispatching import Plan
from dispatch.models.identity import RunId, uuid7
from dispatch.models.outcome import Completed
from dispatch.settings import HousekeepingSettings, Settings
from dispatch.workspaces import OpenRepository
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.packing import pack
from workers import disk
from workers.collecting import collect_worktrees
from workers.execution import RunExecutor, StartRefusedError
from workers.host_keeping import host_keeper, keep_host
from workers.registry import RunnerRegistry
from workers.run_directories import collect_run_directories

HOUR, DAY = 3600.0, 86_400.0


def git(shop: Any, *arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], cwd=shop.repository, check=False, capture_output=True, text=True)
    return finished.stdout.strip()


def left_behind(shop: Any, bead_id: str) -> Any:
    """Let a worker die in the middle of a run: its worktree holds work, its lease ends, and the bead is open again."""
    key = shop.add(bead_id)
    started = shop.started(key)
    made = shop.system.worktrees.create(started.run)
    (made.path / "half.txt").write_text("half")
    with shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE runs SET state = 'settled', outcome = '{\"kind\": \"lost\"}'")
        tx.connection.exec_driver_sql("UPDATE steps SET state = 'joined'")
        tx.connection.exec_driver_sql("UPDATE beads SET status = 'open'")
    return key, started.run


def test_work_of_a_run_that_was_lost_waits_while_its_bead_is_open_and_goes_to_its_branch_at_the_end(shop: Any) -> None:
    key, run = left_behind(shop, "a")
    assert collect_worktrees(shop.system) == 1, "its worktree went"
    assert collect_worktrees(shop.system) == 0
    assert git(shop, "show", f"refs/dispatch/runs/{run.id}:half.txt") == "half"

    shop.store.edits.close(key, "By hand.")
    assert collect_worktrees(shop.system) == 1
    assert git(shop, "show", "bead/a:half.txt") == "half"
    assert git(shop, "for-each-ref", "refs/dispatch") == ""


def test_work_beside_what_was_accepted_is_kept_under_a_name_of_its_own(shop: Any) -> None:
    key, run = left_behind(shop, "a")
    git(shop, "branch", "bead/a", git(shop, "commit-tree", "main^{tree}", "-p", "main", "-m", "Another"))
    shop.store.edits.close(key, "By hand.")
    assert collect_worktrees(shop.system) == 1
    assert git(shop, "show", f"refs/dispatch/kept/{run.id}:half.txt") == "half"
    assert git(shop, "log", "-1", "--format=%s", "bead/a") == "Another"


def test_a_run_that_the_database_does_not_know_loses_nothing(shop: Any) -> None:
    _, run = left_behind(shop, "a")
    with shop.store.units.begin() as tx:
        for table in ("events", "runs", "steps"):
            tx.connection.exec_driver_sql(f"DELETE FROM {table}")
    assert collect_worktrees(shop.system) == 1
    assert git(shop, "show", f"refs/dispatch/kept/{run.id}:half.txt") == "half"


def run_directory(runs: Path, *, age: float, size: int = 10, name: str | None = None) -> RunId:
    run_id = RunId(uuid7())
    path = runs / (name or str(run_id))
    path.mkdir(parents=True)
    (path / "agent.log").write_bytes(b"x" * size)
    for each in (path / "agent.log", path):
        os.utime(each, (10 * DAY - age, 10 * DAY - age))
    return run_id


def test_directories_of_runs_go_when_they_are_old_or_too_many(tmp_path: Path) -> None:
    fresh = run_directory(tmp_path, age=60, size=5_000)
    kept, crowded, still_open = (run_directory(tmp_path, age=days * DAY, size=1_000) for days in (1, 2, 2.5))
    old, old_and_open = (run_directory(tmp_path, age=8 * DAY) for _ in range(2))
    run_directory(tmp_path, age=9 * DAY, name="not-a-run")
    settings = HousekeepingSettings(keep_runs=timedelta(days=7), keep_runs_gb=6_500e-9)

    deleted = collect_run_directories(tmp_path, settings, lambda run: run in (still_open, old_and_open), now=10 * DAY)

    assert deleted == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        *map(str, (fresh, kept, still_open, old_and_open)),
        "not-a-run",
    }
    assert not (tmp_path / str(crowded)).exists()
    assert not (tmp_path / str(old)).exists()
    assert collect_run_directories(tmp_path / "none", settings, lambda _: False, now=0) == 0


def test_what_was_written_within_the_hour_stays_however_little_room_there_is(tmp_path: Path) -> None:
    young = run_directory(tmp_path, age=HOUR / 2, size=5_000)
    settings = HousekeepingSettings(keep_runs=timedelta(seconds=1), keep_runs_gb=0)
    assert collect_run_directories(tmp_path, settings, lambda _: False, now=10 * DAY) == 0
    assert (tmp_path / str(young)).exists()


def test_a_host_keeps_house_one_at_a_time_and_not_too_often(shop: Any) -> None:
    left_behind(shop, "a")
    stamp = shop.system.settings.home / "housekeeping.lock"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    with locked(stamp):
        assert not keep_host(shop.system, now=0, at_once=True)
    assert keep_host(shop.system, now=0, at_once=True)
    assert not list(shop.system.worktrees_directory.glob("*/"))
    done = stamp.stat().st_mtime
    assert not keep_host(shop.system, now=done + 10)
    assert keep_host(shop.system, now=done + 600)


def test_a_worker_keeps_house_from_its_start_and_a_fault_does_not_end_it(shop: Any) -> None:
    left_behind(shop, "a")
    asked: list[int] = []

    def system() -> Any:
        asked.append(1)
        return shop.system

    def broken() -> Any:
        asked.append(2)
        raise ArithmeticError

    keepers = [host_keeper(system, at_once=True), host_keeper(broken, at_once=True), host_keeper(broken, at_once=False)]
    for keeper in keepers:
        keeper.begin()
    for keeper in keepers:
        keeper.end(patience=60)
    assert sorted(asked) == [1, 2], "a fault is logged, and one that is to wait does"
    assert not list(shop.system.worktrees_directory.glob("*/"))


def test_a_repository_is_packed_when_it_holds_much_that_is_loose(repository: Path) -> None:
    opened = OpenRepository.at(repository)
    kept = opened.git.text("commit-tree", "main^{tree}", "-p", "main", "-m", "Nobody's")
    assert not pack(opened)
    assert not pack(opened, most_loose=10)
    assert pack(opened, most_loose=2)
    counts = dict(line.split(": ") for line in opened.git.text("count-objects", "-v").splitlines())
    assert (counts["packs"], counts["count"]) in {("1", "1"), ("2", "0")}
    assert opened.find_commit(kept) == kept, "what no ref leads to yet stays for two weeks"
    opened.git.run("config", "gc.auto", "0")
    assert not pack(opened, most_loose=-1, most_packs=-1), "its owner does not want that"
    with (
        locked(opened.common_dir / "dispatch-pack.lock"),
        pytest.raises(RefusedError),
        locked(opened.common_dir / "dispatch-pack.lock", patience=0),
    ):
        pass


class TestFullDisk:
    @pytest.fixture(autouse=True)
    def _is_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil._ntuple_diskusage(100 * 10**9, 99 * 10**9, 10**8)  # type: ignore[attr-defined]
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage)

    def test_it_is_told_unless_it_is_not_asked_for(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path / "not" / "there")
        assert disk.disk_trouble(settings) == (
            f"The disk of {settings.home} has 0.1 GB left, and nothing starts below 0.5 GB (min_free_gb)."
        )
        off = HousekeepingSettings(min_free_gb=0)
        assert disk.disk_trouble(settings.model_copy(update={"housekeeping": off})) == ""

    def test_a_worker_is_given_nothing_and_starts_nothing_until_there_is_room(self, shop: Any) -> None:
        swarm, trouble = shop.store.swarm, disk.disk_trouble(shop.system.settings)
        key = shop.add("a", "say(type='result', outcome='completed', nothing_to_do=True)")
        order = shop.order(key)
        registry = RunnerRegistry(shop.system.settings)
        executor = RunExecutor(shop.system, registry, incarnation_id=lambda: shop.worker, stopping=lambda: False)
        with pytest.raises(StartRefusedError, match=r"has 0\.1 GB left"):
            executor.execute(order)
        assert shop.run(order.run_id).state == "pending", "another worker may take it"

        assert swarm.heartbeat(shop.worker, trouble)
        with shop.store.dispatching.look() as round_:
            supply = round_.supply(lock=False)
        assert (supply.agents, supply.troubles) == ((), {"one@here": trouble})
        assert supply.served_roles == {"dev"}, "it serves its roles still, and beads wait for it"
        assert why_parked(supply, Plan(placements=(), refusals=())) == (
            f"All agents are busy or cannot work. one@here takes nothing: {trouble}"
        )
        assert swarm.heartbeat(shop.worker)
        with shop.store.dispatching.look() as round_:
            assert len(round_.supply(lock=False).agents) == 1


def test_with_room_it_starts(shop: Any) -> None:
    key = shop.add("a", "say(type='result', outcome='completed', nothing_to_do=True)")
    registry = RunnerRegistry(shop.system.settings)
    executor = RunExecutor(shop.system, registry, incarnation_id=lambda: shop.worker, stopping=lambda: False)
    assert shop.run(executor.execute(shop.order(key))).outcome == Completed(nothing_to_do=True)
