"""A landing that dies half-way leaves the target branch untouched or landed, and the next one goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("mode", "last"), [("local", "merge"), ("remote", "push"), ("pr", "push")])
def test_a_landing_can_be_killed_at_any_step(mode, last, shop, remote, tmp_path):
    shop.git("tag", "first")
    shop.git("remote", "add", "origin", str(remote.path))
    shop.commit({"other": "x"})
    shop.git("push", "--quiet", "origin", "main")

    done = subprocess.run(
        [sys.executable, "-m", "tests.workspaces.killing", str(tmp_path), mode],
        cwd=HERE.parents[1],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line.split() for line in done.stdout.splitlines()]
    assert {step for _, _, step, _ in steps} >= {"worktree", "reset", "rebase", last}, done.stdout
    assert {state for *_, state in steps} >= {"untouched"}
    shop.git("fsck", "--strict")
