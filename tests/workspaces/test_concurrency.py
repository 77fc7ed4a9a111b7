"""Many workers, processes and threads, at one repository."""

import multiprocessing
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dispatch.errors import GitError
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.run import Run
from dispatch.workspaces import Repository, WorktreeManager
from dispatch.workspaces.file_lock import locked

ROUNDS = 2


def _work(root: Path, shop: Path, run: Run, number: int) -> str:
    """The whole life of a run's worktree."""
    worktrees = WorktreeManager(root, lambda _: Repository(shop, "main"))
    made = worktrees.create(run)
    (made.path / f"file-{number}").write_text(str(number))
    sha = worktrees.commit_all(run, f"run {number}")
    assert worktrees.set_branch(ProjectId("shop"), BeadId(f"shop-{number}"), sha)
    worktrees.remove(run)
    return sha


def _work_in_process(root: Path, shop: Path, runs: list[Run], number: int) -> None:
    for run in runs:
        _work(root, shop, run, number)


def test_sixteen_threads_make_and_remove_worktrees_at_once(root, shop, new_run):
    start = threading.Barrier(16)

    def work(number: int) -> str:
        start.wait(30)
        return [_work(root, shop.path, new_run(), number) for _ in range(ROUNDS)][-1]

    with ThreadPoolExecutor(16) as pool:
        commits = list(pool.map(work, range(16)))

    for number, sha in enumerate(commits):
        assert shop.tip(f"bead/shop-{number}") == sha
        assert f"file-{number}" in shop.files(sha)
        assert shop.git("rev-parse", f"{sha}^") == shop.tip()
    assert shop.git("worktree", "list").count("\n") == 0
    shop.git("fsck", "--strict")


def test_processes_do_not_get_into_each_others_way_nor_does_the_users_prune(root, shop, new_run):
    context = multiprocessing.get_context("spawn")
    runs = [[new_run() for _ in range(ROUNDS)] for _ in range(4)]
    workers = [
        context.Process(target=_work_in_process, args=(root, shop.path, runs[number], number)) for number in range(4)
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        shop.git("worktree", "prune", "--expire=now", check=False)
        workers[0].join(0.05)
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert {f"bead/shop-{number}" for number in range(4)} <= set(
        shop.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split("\n")
    )


def test_two_runs_of_one_bead_do_not_touch_each_other(worktrees, shop, new_run):
    stale, newer = new_run(), replace(new_run(), attempt=2)
    stale_tree, newer_tree = worktrees.create(stale), worktrees.create(newer)
    (stale_tree.path / "file").write_text("stale")
    (newer_tree.path / "file").write_text("newer")

    assert (stale_tree.path / "file").read_text() == "stale"
    newer_sha = worktrees.commit_all(newer, "newer")
    worktrees.remove(stale)

    assert shop.tip(f"refs/dispatch/runs/{newer.id}") == newer_sha
    assert shop.content(newer_sha, "file") == "newer"


def test_a_worktree_that_stays_half_made_by_the_user_is_an_error_with_its_name(worktrees, shop):
    entry = shop.path / ".git" / "worktrees" / "half"
    entry.mkdir(parents=True)
    (entry / "gitdir").write_text(f"{shop.path}/../half/.git\n")
    (entry / "commondir").touch()

    with pytest.raises(GitError, match=r"worktrees/half/commondir"):
        worktrees.set_branch(ProjectId("shop"), BeadId("shop-1"), shop.tip())


def test_a_lock_is_free_again_when_its_holder_fails(tmp_path):
    class Broken(Exception):
        """Raised inside the lock."""

    for _ in range(2):
        try:
            with locked(tmp_path / "lock"):
                raise Broken
        except Broken:
            continue

    with locked(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()


def test_what_a_run_left_is_kept_once_by_whoever_comes_first(root, shop, new_run, at_once):
    """The next attempt and the housekeeping of a worker that starts come at the same moment."""
    for _ in range(4):
        run = new_run()
        worktrees = WorktreeManager(root, lambda _: Repository(shop.path, "main"))
        (worktrees.create(run).path / "left.txt").write_text("left\n")

        kept, collected = at_once(
            [
                lambda: worktrees.salvage(run.id, run.project_id),  # noqa: B023 - called in this round
                lambda: worktrees.collect(lambda _: False),  # noqa: B023
            ]
        )

        assert run.id in collected
        assert shop.content(kept, "left.txt") == "left"


def test_two_hundred_runs_of_a_cached_clone_begin_at_once(host, remote, new_run):
    """As many worktrees of one repository at the same time as a large fleet has."""
    one = host("one")
    clone = one.repository().path
    (clone / "dispatch-fetched").unlink()
    runs = [new_run() for _ in range(200)]
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(one.worktrees.create, runs))

    assert {tree.base_sha for tree in made} == {remote.tip()}
    assert len({tree.path for tree in made}) == 200
    assert all((tree.path / "src" / "app.py").is_file() for tree in made)
    assert one.git("worktree", "list").count("detached") == 200
    assert remote.git("count-objects").startswith(one.git("count-objects").split()[0]), "they share their objects"


def test_a_lock_is_free_again_though_a_process_was_forked_while_it_was_held(tmp_path):
    """As a pool process is while another thread of its worker holds the lock: it has the descriptor then, too."""
    script = f"""
import os, signal
from pathlib import Path
from dispatch.workspaces.file_lock import locked
path = Path({str(tmp_path / "lock")!r})
with locked(path):
    child = os.fork()
    if child == 0:
        signal.pause()
with locked(path, patience=0):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
