import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dispatch.errors import ConfigurationError, NotFoundError
from dispatch.models.landing import AlreadyLanded, Conflict, Landed, NotNow, RedTests
from dispatch.workspaces import Repository, Tests, land
from dispatch.workspaces.processes import Finished


@pytest.fixture
def work(shop) -> str:
    """A commit on a branch that main has not."""
    shop.git("checkout", "--quiet", "-b", "work")
    sha = shop.commit({"feature.py": "feature\n"}, "Add the feature")
    shop.git("checkout", "--quiet", "main")
    return sha


@pytest.fixture
def landing(shop, root):
    def call(sha: str, *test_command: str, timeout: float = 30, env: dict[str, str] | None = None):
        target = Repository(shop.path, "main")
        return land(target, sha, root=root, tests=Tests(test_command, timeout, env=env))

    return call


@pytest.fixture(autouse=True)
def _nothing_is_left(shop, root):
    yield
    assert not root.exists() or [path for path in root.iterdir() if path.suffix != ".lock"] == []
    assert "landing-" not in shop.git("worktree", "list")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


class TestLanded:
    def test_straight_on_top_of_the_target(self, shop, landing, work):
        before = shop.tip()

        assert landing(work, "true") == Landed(work, before)

        assert shop.tip() == work

    def test_after_a_rebase_with_the_author_kept(self, shop, landing, work):
        shop.git("checkout", "--quiet", "work")
        second = shop.commit({"more.py": "more\n"}, "Add more")
        shop.git("checkout", "--quiet", "main")
        before = shop.commit({"other": "other\n"}, "Meanwhile")

        result = landing(second, "true")

        assert result == Landed(shop.tip(), before)
        assert shop.git("log", "--format=%s", "main").split("\n") == [
            "Add more",
            "Add the feature",
            "Meanwhile",
            "first",
        ]
        assert shop.git("log", "-1", "--format=%an %cn") == "Ursula User dispatch"

    def test_the_files_of_the_users_checkout_move_and_local_changes_stay(self, shop, landing, work):
        (shop.path / "readme").write_text("half an edit\n")

        assert isinstance(landing(work, "true"), Landed)

        assert (shop.path / "feature.py").read_text() == "feature\n"
        assert shop.git("status", "--porcelain") == " M readme"

    def test_when_nobody_has_the_target_checked_out(self, shop, landing, work):
        shop.git("checkout", "--quiet", "--detach")

        assert isinstance(landing(work, "true"), Landed)

        assert shop.tip() == work
        assert not (shop.path / "feature.py").exists()

    def test_when_another_worktree_of_the_user_has_it(self, shop, landing, work, tmp_path):
        shop.git("checkout", "--quiet", "work")
        shop.git("worktree", "add", "--quiet", str(tmp_path / "second"), "main")

        assert isinstance(landing(work, "true"), Landed)

        assert (tmp_path / "second" / "feature.py").exists()

    def test_a_worktree_whose_directory_is_gone_is_nobodys(self, shop, landing, work, tmp_path):
        shop.git("checkout", "--quiet", "work")
        shop.git("worktree", "add", "--quiet", str(tmp_path / "second"), "main")
        (tmp_path / "second").rename(tmp_path / "moved")

        assert isinstance(landing(work, "true"), Landed)

    def test_without_tests(self, landing, work):
        assert isinstance(landing(work), Landed)

    @pytest.mark.parametrize("fast_forward", ["true", "false", "only"])
    def test_a_merge_that_settled_a_conflict_is_not_asked_to_settle_it_again(self, shop, landing, fast_forward):
        shop.git("checkout", "--quiet", "-b", "work")
        shop.commit({"readme": "mine\n"}, "Mine")
        shop.git("checkout", "--quiet", "main")
        theirs = shop.commit({"readme": "theirs\n"}, "Theirs")
        shop.git("checkout", "--quiet", "work")
        shop.git("merge", "main", check=False)
        merged = shop.commit({"readme": "both\n"}, "Merge")
        shop.git("checkout", "--quiet", "main")
        shop.commit({"other": "1"}, "Other")
        shop.git("config", "merge.ff", fast_forward)

        result = landing(merged, "true")

        assert isinstance(result, Landed)
        assert shop.content("main", "readme") == "both"
        assert shop.git("log", "--format=%s", f"{theirs}..main").split("\n") == ["Mine", "Other"]

    def test_what_a_killed_landing_left_is_replaced(self, shop, landing, work, root):
        """The tests kill the whole landing; the next one finds what it left."""
        script = f"""
from pathlib import Path
from dispatch.workspaces import Repository, Tests, land
kill = Tests(["sh", "-c", "kill -9 $PPID"], 30)
land(Repository(Path({str(shop.path)!r}), "main"), {work!r}, root=Path({str(root)!r}), tests=kill)
"""
        killed = subprocess.run([sys.executable, "-c", script], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert len(list(root.iterdir())) == 1

        assert isinstance(landing(work, "true"), Landed)

    def test_the_tests_of_a_killed_landing_end_with_it(self, shop, landing, work, root, tmp_path):
        pid_file = tmp_path / "pid"
        read = "head -c 300000 /dev/zero | tr '\\\\0' x"  # more than a pipe holds: the landing is reading by its end
        script = f"""
from pathlib import Path
from dispatch.workspaces import Repository, Tests, land
tests = Tests(["sh", "-c", "sleep 600 & echo $! > {pid_file}; {read}; kill -9 $PPID; wait"], 30)
land(Repository(Path({str(shop.path)!r}), "main"), {work!r}, root=Path({str(root)!r}), tests=tests)
"""
        killed = subprocess.run([sys.executable, "-c", script], check=False)
        assert killed.returncode == -signal.SIGKILL

        assert is_gone(pid_file)
        assert isinstance(landing(work, "true"), Landed)

    def test_hooks_and_signing_are_off(self, shop, landing, work, tmp_path):
        shop.commit({"other": "other\n"})
        shop.git("config", "commit.gpgSign", "true")
        for name in ("pre-rebase", "post-rewrite", "post-merge", "post-checkout", "reference-transaction"):
            hook = shop.path / ".git" / "hooks" / name
            hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
            hook.chmod(0o755)

        assert isinstance(landing(work, "true"), Landed)
        assert not (tmp_path / "ran").exists()
        for hook in (shop.path / ".git" / "hooks").iterdir():
            hook.unlink()


class TestAlreadyLanded:
    def test_the_target_holds_the_commit(self, shop, landing):
        assert landing(shop.tip(), "false") == AlreadyLanded(shop.tip())

    def test_the_target_holds_the_same_change_as_another_commit(self, shop, landing, work):
        shop.commit({"other": "x"})
        shop.git("cherry-pick", work)

        assert landing(work, "false") == AlreadyLanded(shop.tip())

    def test_the_work_is_empty(self, shop, landing):
        shop.git("checkout", "--quiet", "--detach")
        shop.git("commit", "--quiet", "--allow-empty", "-m", "nothing")

        assert landing(shop.tip("HEAD"), "false") == AlreadyLanded(shop.tip())

    def test_a_merge_brings_nothing_new(self, shop, landing, work):
        shop.git("checkout", "--quiet", "work")
        shop.git("commit", "--quiet", "--allow-empty", "-m", "nothing")
        shop.git("checkout", "--quiet", "main")
        shop.commit({"feature.py": "feature\n"}, "The same by hand")
        shop.git("checkout", "--quiet", "work")
        shop.git("merge", "--quiet", "--no-edit", "main")

        assert landing(shop.tip("work"), "false") == AlreadyLanded(shop.tip())


class TestConflict:
    def test_the_output_names_the_files_and_shows_the_places(self, shop, landing):
        shop.git("checkout", "--quiet", "-b", "work")
        work = shop.commit({"readme": "mine\n"}, "Mine")
        shop.git("checkout", "--quiet", "main")
        before = shop.commit({"readme": "theirs\n"}, "Theirs")

        result = landing(work, "true")

        assert isinstance(result, Conflict)
        assert "Conflicts in readme." in result.output
        assert "mine" in result.output
        assert "theirs" in result.output
        assert "--continue" not in result.output
        assert shop.tip() == before
        assert shop.git("status", "--porcelain") == ""

    def test_a_large_conflict_leaves_room_for_the_others(self, shop, landing):
        mine, theirs = ("".join(f"{who} {number}\n" for number in range(2_000)) for who in ("mine", "theirs"))
        shop.git("checkout", "--quiet", "-b", "work")
        work = shop.commit({"a-large.txt": mine, "readme": "my word\n", "src/app.py": "print(2)\n"}, "Mine")
        shop.git("checkout", "--quiet", "main")
        shop.commit({"a-large.txt": theirs, "readme": "their word\n"}, "Theirs")

        result = landing(work, "true")

        assert isinstance(result, Conflict)
        assert "Conflicts in a-large.txt, readme." in result.output
        assert "my word" in result.output
        assert "their word" in result.output
        assert len(result.output) <= 16_384

    def test_a_merge_that_conflicts_with_what_came_later(self, shop, landing):
        shop.git("checkout", "--quiet", "-b", "work")
        shop.commit({"readme": "mine\n"}, "Mine")
        shop.git("checkout", "--quiet", "main")
        shop.commit({"other": "1"}, "Other")
        shop.git("checkout", "--quiet", "work")
        shop.git("merge", "--quiet", "--no-edit", "main")
        shop.git("checkout", "--quiet", "main")
        shop.commit({"readme": "theirs\n"}, "Theirs")

        assert isinstance(landing(shop.tip("work"), "true"), Conflict)


class TestRedTests:
    def test_the_output_and_the_exit_code_come_back(self, shop, landing, work):
        before = shop.tip()

        result = landing(work, *python("import sys; print('1 failed'); sys.stderr.write('why\\n'); sys.exit(3)"))

        assert isinstance(result, RedTests)
        assert sorted(result.output.split()) == ["1", "failed", "why"]
        assert result.exit_code == 3
        assert shop.tip() == before

    def test_the_tests_see_the_rebased_work(self, shop, landing, work):
        shop.commit({"other": "x"})
        code = "import pathlib, sys; sys.exit(not all(map(pathlib.Path.exists, map(pathlib.Path, sys.argv[1:]))))"

        assert isinstance(landing(work, *python(code), "feature.py", "other"), Landed)

    def test_only_the_end_of_much_output_is_kept(self, landing, work):
        result = landing(work, *python("print('x' * 3_000_000 + 'the end'); raise SystemExit(1)"))

        assert len(result.output) == 16_384
        assert result.output.endswith("the end\n")

    def test_a_failure_that_was_named_long_before_the_end_is_told_first(self, landing, work):
        code = "print('FAILED test_basket - assert 41 == 42'); print('x\\n' * 100_000 + 'the end'); raise SystemExit(1)"

        result = landing(work, *python(code))

        assert result.output.startswith("Lines that name a failure:\nFAILED test_basket - assert 41 == 42\n")
        assert result.output.endswith("the end\n")
        assert len(result.output) == 16_384

    def test_where_they_run_is_the_callers_choice(self, shop, root, work):
        seen = []

        def execute(command, place, timeout) -> Finished:
            seen.append((command, (place / "feature.py").exists(), timeout))
            return Finished(1, b"red in there")

        tests = Tests(("make", "test"), 7, execute)
        result = land(Repository(shop.path, "main"), work, root=root, tests=tests)

        assert result == RedTests("red in there", 1)
        assert seen == [(("make", "test"), True, 7)]

    def test_tests_that_do_not_end_are_killed_with_all_their_children(self, landing, work, tmp_path):
        pid_file = tmp_path / "pid"
        child = f"sleep 600 & echo $! > {pid_file}; trap '' TERM; echo started; while :; do sleep 1; done"

        result = landing(work, "sh", "-c", child, timeout=2)

        assert result == RedTests("started\n", None)
        assert is_gone(pid_file)

    def test_what_tests_leave_in_the_background_ends_with_them(self, landing, work, tmp_path):
        pid_file = tmp_path / "pid"

        assert isinstance(landing(work, "sh", "-c", f"sleep 600 & echo $! > {pid_file}"), Landed)

        assert is_gone(pid_file)

    @pytest.mark.parametrize("program", ["no-such-program", "./feature.py"])
    def test_a_program_that_cannot_be_started(self, landing, work, program):
        result = landing(work, program)

        assert isinstance(result, RedTests)
        assert result.exit_code == 127
        assert "cannot be started" in result.output
        assert program in result.output

    def test_they_see_nothing_of_our_environment_but_what_they_are_given(self, landing, work, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "secret")
        monkeypatch.setenv("GIT_DIR", "/nowhere")
        monkeypatch.setenv("LC_TIME", "C")

        result = landing(work, *python("import os; print(sorted(os.environ)); raise SystemExit(1)"), env={"GIVEN": "1"})

        assert set(eval(result.output)) - {"LC_CTYPE"} <= {
            "GIVEN",
            "HOME",
            "LANG",
            "LC_ALL",
            "LC_TIME",
            "PATH",
            "TMPDIR",
        }
        assert "'GIVEN'" in result.output
        assert "'LC_TIME'" in result.output

    def test_tests_that_break_the_private_worktree_break_nothing_else(self, shop, landing, work):
        assert isinstance(landing(work, "sh", "-c", "rm -rf .git *; ln -s /etc src"), Landed)
        assert shop.tip() == work


class TestNotNow:
    def test_local_changes_are_in_the_way(self, shop, landing):
        shop.git("checkout", "--quiet", "-b", "work")
        work = shop.commit({"readme": "mine\n"})
        shop.git("checkout", "--quiet", "main")
        before = shop.tip()
        (shop.path / "readme").write_text("half an edit\n")

        result = landing(work, "true")

        assert isinstance(result, NotNow)
        assert "readme" in result.reason
        assert f"Commit, stash or move what is in the way in {shop.path}" in result.reason
        assert shop.tip() == before
        assert (shop.path / "readme").read_text() == "half an edit\n"

    def test_an_untracked_file_is_in_the_way(self, shop, landing, work):
        (shop.path / "feature.py").write_text("the user's own\n")

        result = landing(work, "true")

        assert isinstance(result, NotNow)
        assert "feature.py" in result.reason
        assert (shop.path / "feature.py").read_text() == "the user's own\n"

    def test_another_git_command_has_the_checkout(self, shop, landing, work):
        (shop.path / ".git" / "index.lock").write_text("")

        result = landing(work, "true")

        assert isinstance(result, NotNow)
        assert "index.lock" in result.reason

    def test_the_user_is_rebasing_the_target(self, shop, landing, work):
        shop.commit({"readme": "one\n"})
        shop.git("checkout", "--quiet", "-b", "other", "HEAD^")
        shop.commit({"readme": "two\n"})
        shop.git("checkout", "--quiet", "main")
        shop.git("rebase", "other", check=False)

        result = landing(work, "true")

        assert result == NotNow(f"main is being rebased in {shop.path}. Finish or abort that rebase.")

    def test_an_agent_has_the_target_checked_out(self, shop, landing, work, worktrees, new_run):
        shop.git("checkout", "--quiet", "work")
        run = new_run()
        made = worktrees.create(run)
        shop.git("-C", str(made.path), "checkout", "--quiet", "main")

        result = landing(work, "true")

        assert isinstance(result, NotNow)
        assert str(made.path) in result.reason
        worktrees.remove(run)
        assert isinstance(landing(work, "true"), Landed)
        worktrees.collect(lambda _: False)

    def test_the_target_moves_at_every_try(self, shop, landing, work):
        mover = f"git -C {shop.path} commit --quiet --allow-empty -m moved"

        result = landing(work, "sh", "-c", mover)

        assert isinstance(result, NotNow)
        assert "moved 3 times" in result.reason
        assert shop.git("log", "--format=%s").split("\n") == ["moved"] * 3 + ["first"]

    @pytest.mark.parametrize("checked_out", [True, False])
    def test_the_target_moves_once_and_the_work_lands_on_the_new_tip(self, shop, landing, work, tmp_path, checked_out):
        if not checked_out:
            shop.git("checkout", "--quiet", "--detach")
        tree, parent = shop.tip("main^{tree}"), shop.tip()
        moved = shop.git("commit-tree", tree, "-p", parent, "-m", "moved")
        move = f"git -C {shop.path} update-ref refs/heads/main {moved}"

        result = landing(work, "sh", "-c", f"[ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; {move}; }}")

        assert result == Landed(shop.tip(), moved)
        assert shop.git("log", "--format=%s", "main").split("\n") == ["Add the feature", "moved", "first"]


class TestErrors:
    def test_no_such_target_branch(self, shop, root, work):
        with pytest.raises(ConfigurationError, match="there is no branch 'trunk'"):
            land(Repository(shop.path, "trunk"), work, root=root, tests=Tests((), 1))

    @pytest.mark.parametrize("sha", ["0" * 40, "--help"])
    def test_no_such_commit(self, landing, sha):
        with pytest.raises(NotFoundError):
            landing(sha)


def is_gone(pid_file: Path) -> bool:
    """Tell whether a killed process ends within some seconds; one that nobody has reaped yet has ended."""
    pid = int(pid_file.read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False
