"""Commands that the model has run, as processes of this host; `boxed` has them run in a container instead."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

MOST_KEPT: Final = 2**20
"""Bytes of what a command prints that are kept, half of them from its beginning."""
MOST_TOLD: Final = 16_000
"""Characters of it that are told."""
_BEGINNING: Final = 5_000
_CHUNK: Final = 2**16
_DRAIN: Final = 5.0
"""Seconds for which the output is still read after all processes of a command were killed."""


@dataclass(frozen=True, slots=True)
class Executed:
    """How a command ended: its exit code, negative for a signal; None when it was ended for taking too long."""

    code: int | None
    output: str

    def told(self) -> str:
        """Return it in words, with the middle of a long output left out."""
        ended = "it took too long and was ended" if self.code is None else f"exit code {self.code}"
        return f"[{ended}]\n{shortened(self.output)}"


Execute = Callable[[Sequence[str], float], Executed]
"""Runs a command of the model in the working directory, at most so many seconds; nothing of it is left after that."""


def on_host(directory: Path, environment: Mapping[str, str]) -> Execute:
    """Return what runs commands on this host, with this environment."""
    return lambda argv, timeout: execute(argv, directory, environment, timeout)


def execute(argv: Sequence[str], directory: Path, environment: Mapping[str, str], timeout: float) -> Executed:
    """Run a command to its end, at most `timeout` seconds; nothing of its process group is left. Raises OSError.

    What leaves the group lives until the program ends: then the guard ends all that is left below it.
    """
    process = subprocess.Popen(
        list(argv),
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None, "it was asked for"
    output = _Output(process.stdout)
    code: int | None = None
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return Executed(code, output.text())


class BothEnds:
    """A bounded part of what a command prints: its beginning and its end."""

    def __init__(self) -> None:
        self._first = b""
        self._last = b""
        self._left_out = 0

    def take(self, data: bytes) -> None:
        room = MOST_KEPT // 2 - len(self._first)
        self._first += data[:room] if room > 0 else b""
        rest = self._last + (data[room:] if room > 0 else data)
        self._left_out += max(0, len(rest) - MOST_KEPT // 2)
        self._last = rest[-(MOST_KEPT // 2) :]

    def text(self) -> str:
        note = f"\n[{self._left_out:,} bytes are left out here]\n".encode() if self._left_out else b""
        return (self._first + note + self._last).decode("utf-8", "replace")


class _Output(threading.Thread):
    """Reads what a command prints."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True, name="output")
        self._pipe = pipe
        self._kept = BothEnds()
        self.start()

    def run(self) -> None:
        with suppress(OSError, ValueError):
            while data := os.read(self._pipe.fileno(), _CHUNK):
                self._kept.take(data)

    def text(self) -> str:
        self.join(_DRAIN)
        if not self.is_alive():
            self._pipe.close()
        return self._kept.text()


def shortened(text: str) -> str:
    """Return a text with its middle left out, where it is longer than what is told."""
    if len(text) <= MOST_TOLD:
        return text
    end = MOST_TOLD - _BEGINNING
    return f"{text[:_BEGINNING]}\n[{len(text) - MOST_TOLD:,} characters are left out here]\n{text[-end:]}"
