import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dispatch.errors import ConfigurationError, NotFoundError, RefusedError
from dispatch.models.identity import BeadId, ProjectId, RunId, uuid7
from dispatch.models.run import Run
from dispatch.workspaces import Fate, Repository, WorktreeManager, branch_name

SHOP = ProjectId("shop")


class TestCreate:
    def test_a_run_gets_a_detached_worktree_at_the_tip_of_the_target_branch(self, worktrees, shop, new_run, root):
        run = new_run()

        made = worktrees.create(run)

        assert made.path == root / str(run.id)
        assert made.base_sha == shop.tip()
        assert (made.path / "src" / "app.py").read_text() == "print(1)\n"
        assert shop.tip(f"refs/dispatch/runs/{run.id}") == made.base_sha
        assert "detached" in shop.git("worktree", "list", "--porcelain")

    def test_a_run_starts_from_the_work_of_the_run_before(self, worktrees, shop, new_run):
        older = shop.tip()
        shop.commit({"readme": "newer\n"})

        made = worktrees.create(new_run(base_sha=older))

        assert made.base_sha == older
        assert (made.path / "readme").read_text() == "hello\n"

    def test_the_users_checkout_stays_as_it_was(self, worktrees, shop, new_run):
        (shop.path / "readme").write_text("half an edit\n")

        worktrees.create(new_run())

        assert shop.git("status", "--porcelain") == " M readme"

    def test_what_an_interrupted_try_left_is_replaced(self, worktrees, shop, new_run, root):
        run = new_run()
        worktrees.create(run)
        record = root / f"{run.id}.json"
        record.write_text(record.read_text().replace('"ready": true', '"ready": false'))
        (root / str(run.id) / "readme").unlink()

        made = worktrees.create(run)

        assert (made.path / "readme").exists()

    def test_a_run_has_only_one_worktree(self, worktrees, new_run):
        run = new_run()
        worktrees.create(run)

        with pytest.raises(RefusedError, match="already has a worktree"):
            worktrees.create(run)

    def test_a_run_id_that_is_a_path_is_no_run_id(self, worktrees, new_run):
        with pytest.raises(ValueError, match="UUID"):
            worktrees.create(replace(new_run(), id="../../x"))

    def test_a_sparse_checkout_of_the_user_does_not_make_ours_sparse(self, worktrees, shop, new_run):
        shop.git("sparse-checkout", "set", "--cone", "docs")
        assert not (shop.path / "src").exists()
        run = new_run()

        made = worktrees.create(run)

        assert (made.path / "src" / "app.py").exists()
        assert worktrees.commit_all(run, "nothing") == made.base_sha

    def test_a_bare_repository_will_do(self, shop, new_run, root, tmp_path):
        shop.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
        worktrees = WorktreeManager(root, lambda _: Repository(tmp_path / "bare.git", "main"))
        run = new_run()

        made = worktrees.create(run)
        (made.path / "new").write_text("x")

        assert worktrees.commit_all(run, "work") != made.base_sha
        worktrees.remove(run)
        assert not made.path.exists()

    def test_git_variables_of_the_caller_do_not_mislead(self, worktrees, shop, new_run, monkeypatch, tmp_path):
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
        monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))

        made = worktrees.create(new_run())

        assert made.base_sha == shop.tip()
        assert not (tmp_path / "index").exists()

    def test_hooks_do_not_run(self, worktrees, shop, new_run, tmp_path):
        for name in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
            hook = shop.path / ".git" / "hooks" / name
            hook.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/ran\nexit 1\n")
            hook.chmod(0o755)
        run = new_run()

        made = worktrees.create(run)
        (made.path / "new").write_text("x")
        worktrees.commit_all(run, "work")
        worktrees.remove(run)

        assert not (tmp_path / "ran").exists()


class TestCreateRefuses:
    def _create(self, root: Path, path: Path, run: Run, branch: str = "main") -> None:
        WorktreeManager(root, lambda _: Repository(path, branch)).create(run)

    def test_a_path_that_is_not_there(self, root, tmp_path, new_run):
        with pytest.raises(ConfigurationError, match="no such directory"):
            self._create(root, tmp_path / "nowhere", new_run())

    def test_a_directory_that_is_no_repository(self, root, tmp_path, new_run):
        (tmp_path / "plain").mkdir()
        with pytest.raises(ConfigurationError, match=r"not a usable git repository(.|\n)*git init"):
            self._create(root, tmp_path / "plain", new_run())

    def test_a_directory_inside_somebody_elses_repository(self, root, shop, new_run):
        with pytest.raises(ConfigurationError, match="not its top"):
            self._create(root, shop.path / "src", new_run())

    def test_a_repository_without_commits(self, root, tmp_path, shop, new_run):
        shop.git("init", "--quiet", str(tmp_path / "empty"))
        with pytest.raises(ConfigurationError, match=r"no commits yet.*first commit on main"):
            self._create(root, tmp_path / "empty", new_run())

    @pytest.mark.parametrize("branch", ["trunk", "-rf", "../../x", "main^{tree}"])
    def test_a_branch_that_does_not_exist(self, root, shop, new_run, branch):
        with pytest.raises(ConfigurationError, match=r"there is no branch .*such as main"):
            self._create(root, shop.path, new_run(), branch)

    @pytest.mark.parametrize("base", ["0" * 40, "--all", "nonsense"])
    def test_a_commit_that_does_not_exist(self, root, shop, new_run, base):
        with pytest.raises(NotFoundError, match="no commit in"):
            self._create(root, shop.path, new_run(base))


class TestRemove:
    def test_uncommitted_work_survives_in_the_runs_ref(self, worktrees, shop, new_run):
        run = new_run()
        made = worktrees.create(run)
        (made.path / "new.py").write_text("kept\n")

        worktrees.remove(run)

        assert not made.path.exists()
        assert shop.content(f"refs/dispatch/runs/{run.id}", "new.py") == "kept"
        assert str(run.id) not in shop.git("worktree", "list")
        assert not (shop.path / ".git" / "worktrees" / str(run.id)).exists()

    def test_removing_twice_or_what_never_was_does_nothing(self, worktrees, shop, new_run):
        run = new_run()
        made = worktrees.create(run)
        (made.path / "new.py").write_text("kept\n")
        worktrees.remove(run)
        kept = shop.tip(f"refs/dispatch/runs/{run.id}")

        worktrees.remove(run)
        worktrees.remove(new_run())

        assert shop.tip(f"refs/dispatch/runs/{run.id}") == kept

    def test_read_only_directories_go_too(self, worktrees, new_run):
        run = new_run()
        made = worktrees.create(run)
        (made.path / "cache" / "module").mkdir(parents=True)
        (made.path / "cache" / "module" / "x").write_text("x")
        (made.path / "cache" / "module").chmod(0o500)

        worktrees.remove(run)

        assert not made.path.exists()

    def test_a_removal_that_was_interrupted_does_not_pass_for_deleted_files(self, worktrees, shop, new_run, root):
        run = new_run()
        made = worktrees.create(run)
        (made.path / "new.py").write_text("kept\n")
        worktrees.remove(run)
        kept = shop.tip(f"refs/dispatch/runs/{run.id}")
        (root / str(run.id)).mkdir()
        (root / f"{run.id}.removing" / "src").mkdir(parents=True)

        assert worktrees.salvage(run.id, SHOP) == kept
        assert shop.tip(f"refs/dispatch/runs/{run.id}") == kept
        assert not (root / str(run.id)).exists()
        assert not (root / f"{run.id}.removing").exists()

    def test_a_worktree_that_was_removed_cannot_be_committed(self, worktrees, new_run):
        run = new_run()
        worktrees.create(run)
        worktrees.remove(run)

        with pytest.raises(RefusedError, match="no worktree on this host"):
            worktrees.commit_all(run, "late")


class TestSalvage:
    def test_what_a_dead_worker_left_is_committed_and_returned(self, worktrees, shop, new_run):
        run = new_run()
        made = worktrees.create(run)
        (made.path / "half.py").write_text("half\n")

        sha = worktrees.salvage(run.id, SHOP)

        assert shop.content(sha, "half.py") == "half"
        assert shop.git("rev-parse", f"{sha}^") == made.base_sha
        assert not made.path.exists()
        assert worktrees.salvage(run.id, SHOP) == sha

    def test_nothing_was_done_or_nothing_is_there(self, worktrees, new_run):
        run = new_run()
        worktrees.create(run)

        assert worktrees.salvage(run.id, SHOP) is None
        assert worktrees.salvage(RunId(uuid7()), SHOP) is None

    def test_a_worktree_that_was_only_half_made_is_nobodys_work(self, worktrees, shop, new_run, root):
        run = new_run()
        made = worktrees.create(run)
        record = root / f"{run.id}.json"
        record.write_text(record.read_text().replace('"ready": true', '"ready": false'))
        (made.path / "readme").unlink()

        assert worktrees.salvage(run.id, SHOP) is None
        assert not made.path.exists()


class TestCollect:
    def test_only_runs_that_are_no_longer_kept_are_touched(self, worktrees, shop, new_run):
        old, current = new_run(), new_run()
        old_path, current_path = worktrees.create(old).path, worktrees.create(current).path

        assert worktrees.collect(lambda run_id: run_id == current.id) == [old.id]

        assert not old_path.exists()
        assert current_path.exists()
        assert shop.git("for-each-ref", "--format=%(refname)", "refs/dispatch") == f"refs/dispatch/runs/{current.id}"

    def test_what_becomes_of_work_is_asked_and_its_ref_stays_while_it_waits(self, worktrees, shop, new_run):
        run, asked = new_run(), []
        made = worktrees.create(run)
        (made.path / "half.py").write_text("half\n")

        def fate(run_id: RunId, commit: str) -> Fate:
            asked.append((run_id, shop.content(commit, "half.py")))
            return [Fate.WAITS, Fate.WAITS, Fate.HELD][len(asked) - 1]

        assert worktrees.collect(lambda _: False, fate) == [run.id], "its worktree went"
        assert worktrees.collect(lambda _: False, fate) == []
        assert shop.content(f"refs/dispatch/runs/{run.id}", "half.py") == "half"
        assert worktrees.collect(lambda _: False, fate) == [run.id]
        assert shop.git("for-each-ref", "refs/dispatch") == ""
        assert worktrees.collect(lambda _: False, fate) == []
        assert asked == [(run.id, "half")] * 3

    def test_work_of_which_nobody_knows_is_kept_for_good(self, worktrees, shop, new_run):
        run, idle = new_run(), new_run()
        (worktrees.create(run).path / "half.py").write_text("half\n")
        worktrees.create(idle)

        assert set(worktrees.collect(lambda _: False)) == {run.id, idle.id}
        assert worktrees.collect(lambda _: False) == []
        assert shop.git("for-each-ref", "--format=%(refname)", "refs/dispatch") == f"refs/dispatch/kept/{run.id}"
        assert shop.content(f"refs/dispatch/kept/{run.id}", "half.py") == "half"

    def test_a_project_that_is_gone_does_not_stop_the_others(self, root, shop, new_run, caplog):
        lost, fine = new_run(), replace(new_run(), project_id=ProjectId("other"))
        WorktreeManager(root, lambda _: Repository(shop.path, "main")).create(lost)
        WorktreeManager(root, lambda _: Repository(shop.path, "main")).create(fine)

        def repository_of(project_id: ProjectId) -> Repository:
            if project_id == SHOP:
                raise NotFoundError(thing="project", name=project_id, cure="Add it.")
            return Repository(shop.path, "main")

        assert WorktreeManager(root, repository_of).collect(lambda _: False) == [fine.id]
        assert str(lost.id) in caplog.text
        assert "There is no project 'shop'" in caplog.text

    def test_what_interrupted_removals_left_is_swept(self, worktrees, new_run, root):
        worktrees.create(new_run())
        (root / "x.removing" / "deep").mkdir(parents=True)

        worktrees.collect(lambda _: True)

        assert not (root / "x.removing").exists()


class TestSetBranch:
    def test_the_branch_is_made_and_follows_wherever_it_goes(self, worktrees, shop):
        first = shop.tip()
        second = shop.commit({"x": "1"})

        assert worktrees.set_branch(SHOP, BeadId("shop-1"), second)
        assert shop.tip("bead/shop-1") == second
        assert worktrees.set_branch(SHOP, BeadId("shop-1"), first)
        assert shop.tip("bead/shop-1") == first

    def test_a_branch_that_somebody_looks_at_is_left(self, worktrees, shop, tmp_path):
        first = shop.tip()
        second = shop.commit({"x": "1"})
        shop.git("worktree", "add", "--quiet", "-b", "bead/shop-1", str(tmp_path / "look"), first)

        assert not worktrees.set_branch(SHOP, BeadId("shop-1"), second)
        assert shop.tip("bead/shop-1") == first
        assert worktrees.set_branch(SHOP, BeadId("shop-1"), first)

    @pytest.mark.parametrize("bead_id", ["../../x", "-rf", "a b", "größe", "x" * 200, "a.lock"])
    def test_an_id_is_never_a_path_or_an_argument(self, worktrees, shop, bead_id):
        assert worktrees.set_branch(SHOP, BeadId(bead_id), shop.tip())

        assert shop.git("for-each-ref", "--format=%(refname:short)", "refs/heads/bead") == branch_name(bead_id)

    def test_a_commit_must_exist(self, worktrees):
        with pytest.raises(NotFoundError):
            worktrees.set_branch(SHOP, BeadId("shop-1"), "0" * 40)


def test_the_commit_range_counts_from_the_oldest(worktrees, shop):
    base = shop.tip()
    made = [shop.commit({"x": str(number)}) for number in range(3)]

    assert worktrees.commit_range(SHOP, base, made[-1]) == (made[0], made[-1], 3)
    assert worktrees.commit_range(SHOP, base, base) == (None, None, 0)


def test_the_records_and_refs_belong_to_the_root_that_made_them(shop, new_run: Callable[..., Run], tmp_path):
    """Two homes may use one repository; neither collects the other's runs."""
    one, other = (WorktreeManager(tmp_path / name, lambda _: Repository(shop.path, "main")) for name in ("a", "b"))
    run = new_run()
    one.create(run)

    assert other.collect(lambda _: False) == []
    assert shop.git("for-each-ref", "refs/dispatch")
    assert os.listdir(tmp_path / "a")  # noqa: PTH208
