"""Keeps programs running, each in a process session of its own on a leash; ends with them, and they with it.

The leash (`leash.py`) holds a pipe to the supervisor: when that ends, even by SIGKILL, so do the programs. One step,
`look`, does what is due and tells what happened; nothing here waits, but `SessionRecord.end_leftovers` before a start.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dispatch.cli.sessions import SessionRecord, kill_session
from dispatch.embedded.server_process import bound_log, open_log

BEYOND_GRACE = 15.0
"""Seconds that a program has to end in after SIGTERM, besides the grace of its agents: to commit, report and leave."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before a program that died is started again: the first time, and at most."""
LONG_LIFE = 60.0
"""Seconds after which a program counts as having worked."""
MAX_QUICK_DEATHS = 5
LOG_LIMIT = 8 * 2**20
_TAIL_LINES = 15
_LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to keep running: a name (also its log's), a command, and what it needs besides the common environment."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that happened to a program, in words. `fatal`: it died too often and is not started again."""

    program: str
    text: str
    fatal: bool = False


class Leashed:
    """One program: its leash while it runs, and how it fared."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.leash: subprocess.Popen[bytes] | None = None
        self.stopping = False
        self.start_at: float | None = None
        self._started_at = 0.0
        self._quick_deaths = 0

    def start(self, directory: Path, environment: Mapping[str, str], grace: float, now: float) -> None:
        command = [sys.executable, "-I", "-S", str(_LEASH), str(grace), *self.program.command]
        with open_log(self.log) as output:
            self.leash = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=directory,
                env={**environment, **self.program.environment},
                start_new_session=True,
            )
        self._started_at, self.start_at = now, None

    def say(self, word: bytes) -> None:
        """Tell the leash to stop (`t`) or kill (`k`) the program; one that is gone needs no telling."""
        if self.leash is not None and self.leash.stdin is not None:
            with suppress(BrokenPipeError):
                os.write(self.leash.stdin.fileno(), word)

    def has_ended(self) -> bool:
        """Tell whether the leash ended and is to be buried."""
        return self.leash is not None and self.leash.poll() is not None

    def bury(self) -> int:
        """Forget the leash that ended and kill what is left of its session; return the program's exit code.

        A leash that was killed had no time for that. 128 + n stands for signal n.
        """
        assert self.leash is not None, "has_ended() said so"
        leash, self.leash = self.leash, None
        if leash.stdin is not None:
            leash.stdin.close()
        kill_session(leash.pid)
        return leash.returncode if leash.returncode >= 0 else 128 - leash.returncode

    def plan_restart(self, code: int, now: float) -> Notice:
        """Decide when the program is started again, or that it is not."""
        self._quick_deaths = 1 if now - self._started_at >= LONG_LIFE else self._quick_deaths + 1
        how = f"{self.program.name} ended ({describe_exit(code)})"
        if self._quick_deaths >= MAX_QUICK_DEATHS:
            text = f"{how} for the {MAX_QUICK_DEATHS}th time in a row. The end of {self.log}:\n{tail(self.log)}"
            return Notice(program=self.program.name, text=text, fatal=True)
        wait = min(FIRST_WAIT * 2 ** (self._quick_deaths - 1), LONGEST_WAIT)
        self.start_at = now + wait
        return Notice(program=self.program.name, text=f"{how} and is started again in {wait:g} s; see {self.log}")


class Supervisor:
    """Starts programs, starts them again when they die, and ends them.

    `directory` is where they run, `logs` where their output goes, `environment` all that they see of the environment.
    `grace` is how many seconds a program has to end in after SIGTERM. `now` is a monotonic clock's seconds throughout.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        directory: Path,
        logs: Path,
        environment: Mapping[str, str],
        record: SessionRecord,
        grace: float,
    ) -> None:
        self._leashed = {program.name: Leashed(program, logs / f"{program.name}.log") for program in programs}
        self._directory = directory
        self._logs = logs
        self._environment = environment
        self._record = record
        self._grace = grace

    def start(self, now: float) -> None:
        """Start everything."""
        self._logs.mkdir(mode=0o700, exist_ok=True)
        for leashed in self._leashed.values():
            bound_log(leashed.log, LOG_LIMIT)
            self._start(leashed, now)

    def _start(self, leashed: Leashed, now: float) -> None:
        leashed.start(self._directory, self._environment, self._grace, now)
        self._record.write(one.leash.pid for one in self._leashed.values() if one.leash is not None)

    def look(self, now: float) -> list[Notice]:
        """Do what is due now: notice who ended, start again who has to be, keep logs short."""
        notices = []
        for leashed in self._leashed.values():
            bound_log(leashed.log, LOG_LIMIT)
            if leashed.has_ended():
                code = leashed.bury()
                if not leashed.stopping:
                    notices.append(leashed.plan_restart(code, now))
            elif leashed.start_at is not None and now >= leashed.start_at and not leashed.stopping:
                self._start(leashed, now)
        return notices

    def alive(self, names: Collection[str] | None = None) -> list[str]:
        """Return the names of the programs that run, of all or of those named."""
        return [
            name
            for name, leashed in self._leashed.items()
            if leashed.leash is not None and (names is None or name in names)
        ]

    def session_of(self, name: str) -> int | None:
        """Return the number of the session that a program runs in, or None while it does not run."""
        leash = self._leashed[name].leash
        return None if leash is None else leash.pid

    def stop(self, names: Collection[str] | None = None) -> None:
        """Ask programs to end; after the grace they are killed. `alive` tells when they have, as `look` is called."""
        self._tell(b"t", names)

    def kill(self) -> None:
        """End all programs at once, with everything in their process groups."""
        self._tell(b"k", None)

    def _tell(self, word: bytes, names: Collection[str] | None) -> None:
        for name, leashed in self._leashed.items():
            if names is None or name in names:
                leashed.stopping = True
                leashed.say(word)


def describe_exit(code: int) -> str:
    """Say an exit code in words: `exit 1`, or `SIGKILL` for one above 128."""
    if code > 128:
        with suppress(ValueError):
            return signal.Signals(code - 128).name
    return f"exit {code}"


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a log, indented."""
    if not log.is_file():
        return "  (empty)"
    with log.open(encoding="utf-8", errors="replace") as text:
        last = deque(text, lines)
    return "".join(f"  {line}" for line in last).rstrip() or "  (empty)"
