"""Waiting for something that another process does, and not for ever."""

import time
from collections.abc import Callable

LOOK_SECONDS = 0.01


class BenchmarkError(Exception):
    """A benchmark could not be measured."""


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 120, look: float = LOOK_SECONDS) -> None:
    """Wait until a condition holds, looking every `look` seconds; raises `BenchmarkError` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{what} did not happen within {seconds:g} s")
        time.sleep(look)
