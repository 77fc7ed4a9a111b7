"""Whether an agent program answers at all: its version, asked for with a time limit and nothing to read."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ANSWER_LIMIT = 20.0
"""Seconds that a program may take to say its version: some unpack themselves at their first start."""
_MOST = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said: its version, or why there is none."""

    version: str = ""
    problem: str = ""


def ask_version(
    words: Sequence[str],
    *,
    base: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    limit: float = ANSWER_LIMIT,
) -> Answer:
    """Ask the program that a command line names for its version; `base` is where relative paths begin.

    Its options are left out. It sees nothing of dispatch's own configuration, and what it starts ends with it.
    """
    program = [*takewhile(lambda word: not word.startswith("-"), words)]
    if "/" in program[0]:
        program[0] = str((base or Path.cwd()) / program[0])
    environment = {name: value for name, value in environ.items() if not name.startswith("DISPATCH_")}
    try:
        process = subprocess.Popen(
            [*program, "--version"],
            cwd=base,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return Answer(problem=f"cannot be started ({error.strerror})")
    with process:
        try:
            said, complaint = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return Answer(problem=f"says no version within {limit:g} s")
        finally:
            _end(process.pid)
    if process.returncode != 0:
        return Answer(problem=f"ends with {process.returncode} when asked for its version: {_line(complaint or said)}")
    return Answer(version=_line(said) or "without a version")


def _end(group: int) -> None:
    """End a program that does not end by itself, with what it started."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), "")[:_MOST]
