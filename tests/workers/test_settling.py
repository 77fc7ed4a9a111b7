"""What follows a run's end and touches git."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import workers.settling
from dispatch.errors import GitError
from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Completed
from dispatch.results import ResultHandler
from dispatch.store.landings import LandingRecords
from dispatch.workspaces import WorktreeManager
from workers.collecting import collect_worktrees
from workers.execution import RunExecutor
from workers.registry import RunnerRegistry
from workers.settling import land_project, settle_run


def done(shop: Any, *bead_ids: str) -> list[tuple[BeadKey, Any]]:
    """Let an agent write a file for each bead; return the beads with their reported runs."""
    found = []
    for bead_id in bead_ids:
        key = shop.add(bead_id, f"pathlib.Path('{bead_id}.txt').write_text('{bead_id}')")
        registry = RunnerRegistry(shop.system.settings)
        executor = RunExecutor(shop.system, registry, incarnation_id=lambda: shop.worker, stopping=lambda: False)
        found.append((key, executor.execute(shop.order(key))))
        settled = settle_run(shop.system, found[-1][1])
        assert settled is not None
    return found


def git(shop: Any, *arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], cwd=shop.repository, check=False, capture_output=True, text=True)
    return finished.stdout.strip()


def status(shop: Any, key: BeadKey) -> str:
    return shop.store.reading.bead(key).status  # type: ignore[no-any-return]


def test_the_beads_branch_follows_what_was_accepted(shop: Any) -> None:
    ((key, run_id),) = done(shop, "a")
    assert git(shop, "rev-parse", "bead/a") == shop.run(run_id).commit_sha
    assert status(shop, key) == "landing"
    assert shop.bus.landings == ["shop"]
    assert settle_run(shop.system, run_id) is None, "a result counts once"


def test_everything_that_waits_lands_in_turn(shop: Any) -> None:
    keys = [key for key, _ in done(shop, "a", "b")]
    assert land_project(shop.system, shop.project.id) == 2
    assert [status(shop, key) for key in keys] == ["closed", "closed"]
    assert (shop.repository / "a.txt").exists()
    assert (shop.repository / "b.txt").exists()
    assert land_project(shop.system, shop.project.id) == 0


def test_a_landing_that_breaks_is_postponed_and_does_not_block_the_next_one(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, _), (second, _) = done(shop, "a", "b")
    land = workers.settling.land

    def break_first(repository: Any, commit_sha: str, **options: Any) -> Any:
        if commit_sha == shop.store.reading.bead(first).head_sha:
            raise RuntimeError("not foreseen")
        return land(repository, commit_sha, **options)

    monkeypatch.setattr(workers.settling, "land", break_first)
    assert land_project(shop.system, shop.project.id) == 1
    assert [status(shop, key) for key in (first, second)] == ["landing", "closed"]
    assert "not foreseen" in shop.store.reading.bead(first).refusal


def test_a_landing_whose_end_cannot_be_written_is_postponed_too(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, _), (second, _) = done(shop, "a", "b")
    landed = ResultHandler.landed

    def break_first(handler: ResultHandler, bead: Any, result: Any) -> Any:
        if bead.key == first:
            raise RuntimeError("not foreseen")
        return landed(handler, bead, result)

    monkeypatch.setattr(ResultHandler, "landed", break_first)
    assert land_project(shop.system, shop.project.id) == 1
    assert [status(shop, key) for key in (first, second)] == ["landing", "closed"]

    monkeypatch.undo()
    with shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE beads SET landing_from = NULL")
    assert land_project(shop.system, shop.project.id) == 1, "it is on main by now, and is found there"
    assert status(shop, first) == "closed"


def test_what_comes_while_the_turn_is_given_back_is_not_left_lying(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = LandingRecords.turn
    came: list[BeadKey] = []

    @contextmanager
    def work_comes_late(records: LandingRecords, number: int) -> Iterator[bool]:
        with turn(records, number) as mine:
            yield mine
            if not came:
                came.append(done(shop, "late")[0][0])

    done(shop, "a")
    monkeypatch.setattr(LandingRecords, "turn", work_comes_late)
    assert land_project(shop.system, shop.project.id) == 2
    assert status(shop, came[0]) == "closed"


def test_only_one_lands_in_a_project_at_a_time(shop: Any) -> None:
    ((key, _),) = done(shop, "a")
    with shop.store.landings.turn(shop.project.number) as mine:
        assert mine
        assert land_project(shop.system, shop.project.id) == 0
    assert status(shop, key) == "landing"


def test_worktrees_of_ended_runs_are_collected_and_open_ones_stay(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started = shop.started(shop.add("open"))
    shop.system.worktrees.create(started.run)
    monkeypatch.setattr(WorktreeManager, "remove", lambda *_: None)
    done(shop, "a")
    assert len(list(shop.system.worktrees_directory.glob("*/"))) == 2
    assert collect_worktrees(shop.system) == 1
    assert [path.name for path in shop.system.worktrees_directory.glob("*/")] == [str(started.run.id)]


def test_accepted_work_gets_its_branch_before_the_runs_own_ref_goes(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a sweep, which settles without git, or when git did not answer at the time."""
    set_branch = WorktreeManager.set_branch

    def broken(*_: Any) -> bool:
        raise GitError(command="update-ref", place="here", code=128, output="locked")

    monkeypatch.setattr(WorktreeManager, "set_branch", broken)
    ((_, run_id),) = done(shop, "a")
    commit = shop.run(run_id).commit_sha
    assert shop.run(run_id).outcome == Completed()
    assert git(shop, "rev-parse", "--verify", "bead/a") == ""
    assert collect_worktrees(shop.system) == 0
    assert git(shop, "rev-parse", f"refs/dispatch/runs/{run_id}") == commit

    monkeypatch.setattr(WorktreeManager, "set_branch", set_branch)
    assert collect_worktrees(shop.system) == 1
    assert git(shop, "rev-parse", "bead/a") == commit


def test_a_bead_without_a_commit_waits_and_says_so(shop: Any) -> None:
    key = shop.add("a")
    with shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE beads SET status = 'landing'")
    assert land_project(shop.system, shop.project.id) == 0
    assert "has no commit" in shop.store.reading.bead(key).refusal
