"""Commands of the model: bounded in time and output, without the key, and with nothing left behind."""

import os
import time
from pathlib import Path

import psutil
import pytest

from workers.runners.llm.commands import MOST_TOLD, execute, shortened

ENVIRONMENT = {"PATH": os.environ["PATH"], "KNOWN": "yes"}


def test_it_says_the_exit_code_and_what_was_printed(tmp_path: Path) -> None:
    done = execute(["sh", "-c", "echo out; echo err >&2; pwd; exit 7"], tmp_path, ENVIRONMENT, 30)
    assert done.code == 7
    assert done.told() == f"[exit code 7]\nout\nerr\n{tmp_path}\n"


def test_it_gets_the_environment_that_is_given_and_no_input(tmp_path: Path) -> None:
    done = execute(["sh", "-c", "env | sort; read line || echo none"], tmp_path, ENVIRONMENT, 30)
    names = [line.partition("=")[0] for line in done.output.splitlines()]
    assert [name for name in names if name not in ("PWD", "SHLVL", "_")] == ["KNOWN", "PATH", "none"]


def test_what_it_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    began = time.monotonic()
    done = execute(["sh", "-c", "sleep 600 & echo $!"], tmp_path, ENVIRONMENT, 30)
    assert done.code == 0
    assert time.monotonic() - began < 20, "it does not wait for the end of the background's output"
    assert _ends(int(done.output))


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    done = execute(["sh", "-c", "echo before; sleep 600 & echo $!; wait"], tmp_path, ENVIRONMENT, 0.5)
    assert done.code is None
    before, child = done.output.split()
    assert (before, done.told().splitlines()[0]) == ("before", "[it took too long and was ended]")
    assert _ends(int(child))


def test_a_flood_is_kept_at_both_ends(tmp_path: Path) -> None:
    done = execute(["sh", "-c", "echo first; yes | head -c 5000000; echo last"], tmp_path, ENVIRONMENT, 60)
    assert done.output.startswith("first\ny\n")
    assert done.output.endswith("y\nlast\n")
    assert "bytes are left out here" in done.output
    assert len(done.told()) < MOST_TOLD + 200
    assert shortened("short") == "short"


def test_a_program_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        execute(["no-such-program"], tmp_path, ENVIRONMENT, 1)


def _ends(pid: int) -> bool:
    """Tell whether a killed process comes to its end: that takes the kernel a moment."""
    deadline = time.monotonic() + 20
    while _lives(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
