"""One `dispatch up` a home."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatch.embedded import UpLock
from dispatch.errors import RefusedError

HOLDER = """
import sys
from pathlib import Path
from dispatch.embedded import UpLock
with UpLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_one_is_refused_with_the_pid_of_the_first(
    tmp_path: Path, in_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    with in_process(HOLDER, tmp_path / "home") as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RefusedError, match=f"process {holder.pid}\\)"), UpLock(tmp_path / "home"):
            pass
        holder.communicate("done\n", timeout=30)
    with UpLock(tmp_path / "home"):
        assert (tmp_path / "home" / "run" / "up").read_text() == f"{os.getpid()}\n"
    assert (tmp_path / "home" / "run" / "up").read_text() == ""


def test_a_killed_holder_leaves_nothing_in_the_way(
    tmp_path: Path, in_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    with in_process(HOLDER, tmp_path / "home") as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with UpLock(tmp_path / "home"):
        assert (tmp_path / "home" / "run" / "up").read_text() == f"{os.getpid()}\n"


def test_two_homes_have_two(tmp_path: Path) -> None:
    with UpLock(tmp_path / "one"), UpLock(tmp_path / "two"):
        assert (tmp_path / "two" / "run" / "up").read_text() == f"{os.getpid()}\n"
