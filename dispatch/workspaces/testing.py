"""Running a project's tests on work that is to land, in this process's user and surroundings."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dispatch.models.landing import RedTests
from dispatch.workspaces.failing_lines import what_matters
from dispatch.workspaces.processes import Finished, run_watched

Execute = Callable[[Sequence[str], Path, float], Finished]
"""Runs a program in a directory for at most so many seconds. Raises OSError when it cannot be started."""
OUTPUT_LIMIT = 16_384
"""Characters of the tests' output that are told."""
_KEPT = 1 << 20
"""Bytes of the output, its last ones, that are searched for failures."""
_TEST_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR")
_CANNOT_START = 127
"""The exit code a shell gives for a program it cannot start."""


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests of a project: `command` (empty: there are none), and their limit in seconds.

    `execute` runs them; without one they run here, and see PATH, HOME, the locale, TMPDIR and `env`.
    """

    __test__ = False

    command: Sequence[str]
    timeout: float
    execute: Execute | None = None
    env: Mapping[str, str] | None = None

    def run(self, place: Path) -> RedTests | None:
        """Run the tests in a directory; None when they passed."""
        if not self.command:
            return None
        try:
            finished = (self.execute or self._here)(self.command, place, self.timeout)
        except OSError as error:
            return RedTests(f"The test command cannot be started: {error}", _CANNOT_START)
        if finished.code == 0:
            return None
        return RedTests(what_matters(finished.output.decode(errors="replace"), OUTPUT_LIMIT), finished.code)

    def _here(self, command: Sequence[str], place: Path, timeout: float) -> Finished:
        seen = {name: value for name, value in os.environ.items() if name in _TEST_VARIABLES or name[:3] == "LC_"}
        return run_watched(command, cwd=place, env=seen | dict(self.env or {}), timeout=timeout, keep=_KEPT)
