import os
import sys
from pathlib import Path

import pytest

from dispatch.errors import ConfigurationError, GitError
from dispatch.workspaces.git import Git
from dispatch.workspaces.processes import Finished, run_captured, run_watched

ENV = {"PATH": os.environ["PATH"]}


def test_captured_streams_are_kept_apart_and_input_is_passed(tmp_path):
    finished = run_captured(
        ["sh", "-c", "cat; echo bad >&2; exit 4"], cwd=tmp_path, env=ENV, timeout=30, stdin=b"x" * 200_000
    )

    assert finished == Finished(4, b"x" * 200_000, b"bad\n")


def test_a_captured_program_ends_when_its_time_is_over(tmp_path):
    finished = run_captured(["sh", "-c", "echo before; sleep 600 & wait"], cwd=tmp_path, env=ENV, timeout=0.5)

    assert finished == Finished(None, b"before\n", b"")


def test_a_program_that_closes_its_output_is_waited_for(tmp_path):
    code = "import os, sys, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(5)"

    assert run_watched([sys.executable, "-c", code], cwd=tmp_path, env=ENV, timeout=30, keep=10) == Finished(5, b"")


def test_a_signal_is_told_from_the_end_of_the_time(tmp_path):
    finished = run_watched(["sh", "-c", "kill -9 $$"], cwd=tmp_path, env=ENV, timeout=30, keep=10)

    assert finished.code == -9


def test_a_child_that_leaves_the_group_does_not_hold_us_up(tmp_path):
    code = "import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(3)\nelse:\n print('done', flush=True)"

    finished = run_watched([sys.executable, "-c", code], cwd=tmp_path, env=ENV, timeout=2, keep=10)

    assert finished == Finished(0, b"done\n")


def test_a_git_that_hangs_is_an_error_that_says_so(tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\nsleep 600\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(GitError, match=r"git status failed in .* did not end within 0\.2 s"):
        Git(tmp_path, timeout=0.2).attempt("status")


def test_a_missing_git_names_the_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match=r"Install git"):
        Git(tmp_path).attempt("status")


def test_an_error_names_the_place_the_exit_code_and_the_output(tmp_path):
    with pytest.raises(GitError) as caught:
        Git(tmp_path).run("rev-parse", "HEAD")

    assert caught.value.facts["place"] == tmp_path
    assert caught.value.facts["code"] == 128
    assert "not a git repository" in caught.value.facts["output"]


def test_a_question_has_only_two_answers(shop):
    with pytest.raises(GitError):
        Git(Path(shop.path)).tells("merge-base", "--is-ancestor", "HEAD", "0" * 40)
