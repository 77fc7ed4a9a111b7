"""What an agent may leave in its worktree, and the commit that is made of it."""

import os
import shutil

import pytest

from dispatch.models.identity import ProjectId
from dispatch.models.run import Run
from dispatch.workspaces import Worktree, WorktreeManager

SHOP = ProjectId("shop")


@pytest.fixture
def run(new_run) -> Run:
    return new_run()


@pytest.fixture
def made(worktrees: WorktreeManager, run: Run) -> Worktree:
    return worktrees.create(run)


@pytest.fixture
def commit_all(worktrees: WorktreeManager, shop, run: Run, made: Worktree):
    """Commit, and check what holds of every such commit."""

    def commit(message: str = "the work") -> str:
        sha = worktrees.commit_all(run, message)
        assert shop.tip(f"refs/dispatch/runs/{run.id}") == sha
        shop.git("merge-base", "--is-ancestor", made.base_sha, sha)
        return sha

    return commit


@pytest.fixture
def agent(shop, made: Worktree):
    """git as the agent calls it."""

    def call(*arguments: str, check: bool = True) -> str:
        return shop.git("-C", str(made.path), *arguments, check=check)

    return call


class TestFiles:
    def test_new_changed_and_deleted_files_are_committed_and_ignored_ones_are_not(self, shop, made, commit_all):
        (made.path / "new").write_text("new\n")
        (made.path / "readme").write_text("changed\n")
        (made.path / "src" / "app.py").unlink()
        (made.path / "debug.log").write_text("noise\n")

        sha = commit_all("Fix the shop\n\nIn full.")

        assert shop.files(sha) == [".gitignore", "new", "readme"]
        assert shop.content(sha, "readme") == "changed"
        assert shop.git("rev-parse", f"{sha}^") == made.base_sha
        assert shop.git("log", "-1", "--format=%B", sha).strip() == "Fix the shop\n\nIn full."

    def test_nothing_changed_gives_the_base(self, made, commit_all):
        assert commit_all() == made.base_sha

    def test_the_same_content_gives_the_same_commit(self, made, commit_all):
        (made.path / "new").write_text("new\n")

        assert commit_all() == commit_all("again")

    def test_a_change_of_the_same_length_in_the_same_instant_is_seen(self, shop, made, commit_all):
        index = shop.path / ".git" / "worktrees" / made.path.name / "index"
        (made.path / "readme").write_text("HELLO\n")
        when = index.stat().st_mtime_ns
        os.utime(made.path / "readme", ns=(when, when))

        assert shop.content(commit_all(), "readme") == "HELLO"

    @pytest.mark.parametrize("name", ["-rf", "--all", " ", "ü\n\t", ":(exclude)x", "*", "a\\b", "$(id)"])
    def test_a_name_is_only_a_name(self, shop, made, commit_all, name):
        (made.path / name).write_text("x\n")

        assert set(shop.files(commit_all())) == {".gitignore", "readme", "src/app.py", name}

    def test_a_name_that_is_not_unicode_is_kept(self, shop, made, commit_all):
        with open(os.fsencode(made.path) + b"/caf\xe9", "w") as file:  # noqa: PTH123
            file.write("x\n")

        assert "caf\\351" in shop.git("-c", "core.quotePath=true", "ls-tree", "--name-only", commit_all())

    def test_links_out_of_the_worktree_stay_links(self, shop, made, commit_all, tmp_path):
        (tmp_path / "secret").write_text("secret")
        (made.path / "out").symlink_to(tmp_path / "secret")
        shutil.rmtree(made.path / "src")
        (made.path / "src").symlink_to("/etc")

        sha = commit_all()

        assert shop.mode(sha, "out") == shop.mode(sha, "src") == "120000"
        assert shop.content(sha, "out") == str(tmp_path / "secret")

    def test_files_and_directories_without_permissions_are_read(self, shop, made, commit_all):
        (made.path / "shut").mkdir()
        (made.path / "shut" / "inner").write_text("x\n")
        (made.path / "shut" / "inner").chmod(0)
        (made.path / "shut").chmod(0)

        assert "shut/inner" in shop.files(commit_all())

    def test_pipes_are_left_out(self, shop, made, commit_all):
        os.mkfifo(made.path / "pipe")
        (made.path / "new").write_text("x\n")

        assert "pipe" not in shop.files(commit_all())

    def test_a_large_file_is_a_file(self, shop, made, commit_all):
        with (made.path / "large").open("wb") as file:
            file.truncate(50_000_000)

        assert shop.git("cat-file", "-s", f"{commit_all()}:large") == "50000000"

    def test_an_executable_stays_one(self, shop, made, commit_all):
        (made.path / "src" / "app.py").chmod(0o755)

        assert shop.mode(commit_all(), "src/app.py") == "100755"

    def test_an_ignored_file_that_the_agent_added_by_force_is_kept(self, shop, made, commit_all, agent):
        (made.path / "build.log").write_text("x\n")
        agent("add", "--force", "build.log")

        assert "build.log" in shop.files(commit_all())

    def test_settings_for_the_users_own_checkout_do_not_matter(self, shop, made, commit_all):
        settings = {"core.autocrlf": "input", "core.safecrlf": "true", "core.ignoreStat": "true", "core.bare": "true"}
        for key, value in {**settings, "status.showUntrackedFiles": "no", "commit.gpgSign": "true"}.items():
            shop.git("config", key, value)
        (made.path / "mixed").write_text("a\r\nb\n")

        assert shop.content(commit_all(), "mixed") == "a\nb"

    def test_a_message_may_be_anything(self, shop, made, commit_all):
        (made.path / "new").write_text("x\n")
        assert shop.git("log", "-1", "--format=%s", commit_all("-m \0 ü \ud800")) == "-m   ü ?"
        (made.path / "new").write_text("y\n")
        assert "Work of run" in shop.git("log", "-1", "--format=%s", commit_all("  \n"))


class TestIdentity:
    def test_dispatch_commits_and_not_the_user(self, shop, made, commit_all):
        (made.path / "new").write_text("x\n")

        assert shop.git("log", "-1", "--format=%an <%ae> %cn <%ce>", commit_all()) == (
            "dispatch <dispatch@localhost> dispatch <dispatch@localhost>"
        )

    def test_a_repository_may_name_another(self, shop, made, commit_all):
        shop.git("config", "user.name", "Shop Robot")
        shop.git("config", "user.email", "robot@shop.example")
        (made.path / "new").write_text("x\n")

        assert shop.git("log", "-1", "--format=%an <%ae>", commit_all()) == "Shop Robot <robot@shop.example>"


class TestAgentsOwnCommits:
    def test_they_are_kept_and_the_rest_is_added(self, shop, made, commit_all):
        own = shop.commit({"one": "1"}, "own work", place=made.path)
        (made.path / "two").write_text("2")

        sha = commit_all()

        assert shop.git("rev-parse", f"{sha}^") == own
        assert {"one", "two"} <= set(shop.files(sha))

    def test_a_clean_worktree_gives_the_agents_own_commit(self, shop, made, commit_all):
        own = shop.commit({"one": "1"}, "own work", place=made.path)

        assert commit_all() == own

    def test_on_a_branch_of_its_own(self, shop, made, commit_all, agent):
        agent("checkout", "--quiet", "-b", "feature")
        own = shop.commit({"one": "1"}, "own work", place=made.path)
        (made.path / "two").write_text("2")

        sha = commit_all()

        assert shop.git("rev-parse", f"{sha}^") == own
        assert shop.tip("feature") == own

    def test_on_an_orphan_branch(self, shop, made, commit_all, agent):
        agent("checkout", "--quiet", "--orphan", "fresh")
        (made.path / "two").write_text("2")

        assert {"readme", "two"} <= set(shop.files(commit_all()))

    def test_after_a_switch_to_unrelated_history(self, shop, made, commit_all, agent):
        agent("checkout", "--quiet", "--orphan", "fresh")
        own = shop.commit({"two": "2"}, "a new beginning", place=made.path)

        sha = commit_all()

        assert shop.git("rev-parse", f"{sha}^1", f"{sha}^2").split() == [made.base_sha, own]

    def test_after_going_back_to_an_older_commit(self, worktrees, shop, new_run):
        older = shop.tip()
        newer = shop.commit({"two": "2"})
        run = new_run()
        made = worktrees.create(run)
        shop.git("-C", str(made.path), "checkout", "--quiet", older)

        sha = worktrees.commit_all(run, "back")

        assert shop.git("rev-parse", f"{sha}^") == newer
        assert "two" not in shop.files(sha)

    def test_after_a_rebase_onto_a_newer_target(self, worktrees, shop, new_run):
        first = shop.tip()
        shop.git("checkout", "--quiet", "-b", "work")
        base = shop.commit({"work": "1"}, "work")
        shop.git("checkout", "--quiet", "main")
        newer = shop.commit({"other": "2"}, "other")
        run = new_run(base)
        made = worktrees.create(run)
        shop.git("-C", str(made.path), "rebase", "--quiet", "main")

        sha = worktrees.commit_all(run, "rebased")

        assert {"work", "other"} <= set(shop.files(sha))
        for ancestor in (first, base, newer):
            shop.git("merge-base", "--is-ancestor", ancestor, sha)


class TestUnfinishedBusiness:
    def _diverge(self, shop, made) -> str:
        shop.commit({"readme": "mine\n"}, "mine", place=made.path)
        return shop.commit({"readme": "theirs\n", "extra": "x\n"}, "theirs")

    def test_a_half_done_merge(self, shop, made, commit_all, agent):
        theirs = self._diverge(shop, made)
        agent("merge", "main", check=False)
        assert agent("ls-files", "--unmerged")

        sha = commit_all()

        assert "<<<<<<<" in shop.content(sha, "readme")
        assert shop.content(sha, "extra") == "x"
        shop.git("merge-base", "--is-ancestor", theirs, sha)
        assert commit_all() == sha

    def test_a_half_done_rebase(self, shop, made, commit_all, agent):
        self._diverge(shop, made)
        agent("rebase", "main", check=False)
        (made.path / "readme").write_text("both\n")

        sha = commit_all()

        assert shop.content(sha, "readme") == "both"

    def test_a_half_done_cherry_pick(self, shop, made, commit_all, agent):
        self._diverge(shop, made)
        agent("cherry-pick", "main", check=False)

        assert "<<<<<<<" in shop.content(commit_all(), "readme")

    def test_a_lock_on_the_index(self, shop, made, commit_all):
        (shop.path / ".git" / "worktrees" / made.path.name / "index.lock").write_text("")
        (made.path / "new").write_text("x\n")

        assert "new" in shop.files(commit_all())

    @pytest.mark.parametrize("damage", ["gone", "garbage", "empty"])
    def test_a_damaged_index(self, shop, made, commit_all, damage):
        index = shop.path / ".git" / "worktrees" / made.path.name / "index"
        (made.path / "new").write_text("x\n")
        if damage == "gone":
            index.unlink()
        else:
            index.write_bytes(b"DIRC garbage" * 100 if damage == "garbage" else b"")

        assert shop.files(commit_all()) == [".gitignore", "new", "readme", "src/app.py"]

    def test_a_sparse_checkout_of_the_agents_own(self, shop, made, commit_all, agent):
        agent("sparse-checkout", "set", "--cone", "docs")
        assert not (made.path / "src").exists()
        (made.path / "docs").mkdir()
        (made.path / "docs" / "page").write_text("x\n")
        (made.path / "lib").mkdir()
        (made.path / "lib" / "new").write_text("outside of the sparse part\n")

        assert {"docs/page", "lib/new", "src/app.py"} <= set(shop.files(commit_all()))

    def test_staged_and_then_deleted(self, shop, made, commit_all, agent):
        (made.path / "new").write_text("x\n")
        agent("add", "new")
        (made.path / "new").unlink()

        assert commit_all() == made.base_sha


class TestTheDotGit:
    def test_deleted(self, shop, made, commit_all):
        (made.path / ".git").unlink()
        (made.path / "new").write_text("x\n")

        assert "new" in shop.files(commit_all())

    def test_deleted_and_the_user_prunes(self, shop, made, commit_all):
        own = shop.commit({"one": "1"}, "own work", place=made.path)
        (made.path / ".git").unlink()
        shop.git("worktree", "prune", "--expire=now")

        assert commit_all() == own

    def test_replaced_by_a_repository_that_would_run_programs(self, shop, made, commit_all, worktrees, run, tmp_path):
        (made.path / ".git").unlink()
        shop.git("init", "--quiet", str(made.path))
        trap = tmp_path / "trap"
        trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
        trap.chmod(0o755)
        for key in ("core.fsmonitor", "filter.evil.clean", "core.pager", "diff.external", "core.sshCommand"):
            shop.git("-C", str(made.path), "config", key, str(trap))
        (made.path / ".gitattributes").write_text("* filter=evil\n")
        (made.path / "new").write_text("x\n")

        sha = commit_all()
        worktrees.remove(run)

        assert {"new", "readme", "src/app.py"} <= set(shop.files(sha))
        assert not (tmp_path / "sprung").exists()

    def test_pointing_to_another_repository(self, shop, made, commit_all, tmp_path):
        shop.git("init", "--quiet", str(tmp_path / "other"))
        (made.path / ".git").write_text(f"gitdir: {tmp_path}/other/.git\n")
        (made.path / "new").write_text("x\n")

        assert "new" in shop.files(commit_all())
        assert not (tmp_path / "other" / ".git" / "index").exists()

    def test_a_monitor_in_the_projects_own_configuration_does_not_run(self, shop, made, commit_all, agent, tmp_path):
        agent("config", "core.fsmonitor", f"touch {tmp_path}/sprung")
        (made.path / "new").write_text("x\n")

        commit_all()

        assert not (tmp_path / "sprung").exists()

    def test_the_whole_worktree_deleted(self, shop, made, commit_all):
        own = shop.commit({"one": "1"}, "own work", place=made.path)
        (made.path / "two").write_text("2")
        sha = commit_all()
        shutil.rmtree(made.path)

        assert commit_all() == sha
        assert shop.git("rev-parse", f"{sha}^") == own

    def test_the_worktree_replaced_by_a_link(self, worktrees, made, commit_all, run, tmp_path):
        shutil.rmtree(made.path)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "private").write_text("private")
        made.path.symlink_to(tmp_path / "elsewhere")

        assert commit_all() == made.base_sha
        worktrees.remove(run)
        assert (tmp_path / "elsewhere" / "private").exists()
        assert not made.path.is_symlink()


class TestNestedRepositories:
    def _nest(self, shop, place) -> None:
        shop.git("init", "--quiet", str(place))
        shop.commit({"lib.py": "x\n", "skip.o": "o\n", "debug.log": "noise\n", ".gitignore": "*.o\n"}, "n", place=place)

    def test_their_files_become_ordinary_files(self, shop, made, commit_all):
        self._nest(shop, made.path / "nested")
        shop.git("init", "--quiet", str(made.path / "unborn"))
        (made.path / "unborn" / "-rf").write_text("x\n")

        sha = commit_all()

        assert set(shop.files(sha)) == {
            ".gitignore",
            "readme",
            "src/app.py",
            "nested/.gitignore",
            "nested/lib.py",
            "unborn/-rf",
        }
        assert commit_all() == sha

    def test_one_inside_another(self, shop, made, commit_all):
        self._nest(shop, made.path / "outer")
        self._nest(shop, made.path / "outer" / "*inner")

        assert {"outer/lib.py", "outer/*inner/lib.py"} <= set(shop.files(commit_all()))

    def test_one_that_takes_the_place_of_a_file(self, shop, made, commit_all):
        (made.path / "readme").unlink()
        self._nest(shop, made.path / "readme")
        (made.path / "src" / "app.py").unlink()
        shop.git("init", "--quiet", str(made.path / "src" / "app.py"))
        (made.path / "src" / "app.py" / "unborn").write_text("x\n")

        assert {"readme/lib.py", "src/app.py/unborn"} <= set(shop.files(commit_all()))

    def test_one_around_files_that_were_there_before(self, shop, made, commit_all):
        shop.git("init", "--quiet", str(made.path / "src"))
        (made.path / "src" / "new.py").write_text("x\n")

        assert {"src/app.py", "src/new.py"} <= set(shop.files(commit_all()))

    def test_a_link_that_the_agent_committed_itself_is_undone(self, shop, made, commit_all, agent):
        self._nest(shop, made.path / "nested")
        agent("add", "--all")
        agent("commit", "--quiet", "-m", "oops")

        sha = commit_all()

        assert shop.mode(f"{sha}^", "nested") == "160000"
        assert "nested/lib.py" in shop.files(sha)

    def test_a_submodule_stays_one(self, shop, made, commit_all, agent, tmp_path):
        self._nest(shop, tmp_path / "library")
        library = str(tmp_path / "library")
        agent("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, "vendor/library")

        sha = commit_all()

        assert shop.mode(sha, "vendor/library") == "160000"
        assert ".gitmodules" in shop.files(sha)
