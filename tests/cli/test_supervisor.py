"""Programs on leashes: they are kept running, end when told, and end with their supervisor, whatever ends that."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dispatch.cli.sessions import SessionRecord, members
from dispatch.cli.supervisor import MAX_QUICK_DEATHS, Notice, Program, Supervisor, describe_exit

PATIENCE = 20.0
LOYAL = "import time\nprint('here', flush=True)\ntime.sleep(600)"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\ntime.sleep(600)"
)
WITH_CHILD = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).wait()"
LEAVES_CHILD = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\nsys.exit(3)"


def until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Stand:
    """A supervisor of small Python programs, and a clock that the test moves."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.record = SessionRecord(directory / "sessions", directory)
        self.now = 100.0
        self.notices: list[Notice] = []
        self._supervisors: list[Supervisor] = []

    def __call__(self, *, grace: float = 10.0, **sources: str) -> Supervisor:
        programs = [Program(name=name, command=(sys.executable, "-c", text)) for name, text in sources.items()]
        supervisor = Supervisor(
            programs,
            directory=self.directory,
            logs=self.directory / "logs",
            environment={"PATH": os.defpath, "DISPATCH_HOME": str(self.directory)},
            record=self.record,
            grace=grace,
        )
        self._supervisors.append(supervisor)
        supervisor.start(self.now)
        return supervisor

    def look(self, supervisor: Supervisor) -> list[Notice]:
        new = supervisor.look(self.now)
        self.notices += new
        return new

    def next_notice(self, supervisor: Supervisor) -> Notice:
        told = len(self.notices)
        until(lambda: self.look(supervisor) or len(self.notices) > told)
        return self.notices[told]

    def says_here(self, name: str) -> bool:
        log = self.directory / "logs" / f"{name}.log"
        return log.is_file() and "here" in log.read_text()

    def end(self) -> None:
        for supervisor in self._supervisors:
            supervisor.kill()
            until(lambda supervisor=supervisor: self.look(supervisor) is not None and not supervisor.alive())  # type: ignore[misc]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    yield stand
    stand.end()


def session(supervisor: Supervisor, name: str) -> int:
    number = supervisor.session_of(name)
    assert number is not None
    return number


def test_each_program_runs_in_a_session_of_its_own_and_writes_its_log(stand: Stand) -> None:
    supervisor = stand(one=LOYAL, two=LOYAL)
    until(lambda: stand.says_here("one") and stand.says_here("two"))
    sessions = {session(supervisor, name) for name in ("one", "two")}
    assert len(sessions) == 2
    assert os.getsid(0) not in sessions
    assert (stand.directory / "logs" / "one.log").stat().st_mode & 0o777 == 0o600


def test_a_program_that_dies_is_started_again_after_a_wait_that_doubles(stand: Stand) -> None:
    supervisor = stand(short="raise SystemExit(7)")
    first = stand.next_notice(supervisor)
    assert "short ended (exit 7)" in first.text
    assert "0.5 s" in first.text
    stand.now += 0.4
    assert stand.look(supervisor) == []
    assert supervisor.alive() == []
    stand.now += 0.1
    stand.look(supervisor)
    assert supervisor.alive() == ["short"]
    assert "1 s" in stand.next_notice(supervisor).text


def test_a_program_that_lived_long_starts_again_with_the_first_wait(stand: Stand) -> None:
    supervisor = stand(one="raise SystemExit(1)")
    stand.next_notice(supervisor)
    stand.now += 0.5
    stand.look(supervisor)
    stand.now += 61
    assert "0.5 s" in stand.next_notice(supervisor).text


def test_a_program_that_dies_five_times_quickly_is_given_up_with_the_end_of_its_log(stand: Stand) -> None:
    supervisor = stand(broken="print('no such thing'); raise SystemExit(1)")
    for _ in range(MAX_QUICK_DEATHS):
        notice = stand.next_notice(supervisor)
        stand.now += 30
        stand.look(supervisor)
    assert notice.fatal
    assert "no such thing" in notice.text
    assert supervisor.alive() == []
    stand.now += 1000
    assert stand.look(supervisor) == []


def test_a_program_told_to_stop_ends_and_is_not_started_again(stand: Stand) -> None:
    supervisor = stand(one=LOYAL, two=LOYAL)
    until(lambda: stand.says_here("one"))
    supervisor.stop(["one"])
    until(lambda: stand.look(supervisor) == [] and supervisor.alive() == ["two"])
    stand.now += 1000
    assert stand.look(supervisor) == []
    assert supervisor.alive() == ["two"]


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(stand: Stand) -> None:
    supervisor = stand(grace=0.2, deaf=STUBBORN)
    until(lambda: stand.says_here("deaf"))
    supervisor.stop()
    until(lambda: stand.look(supervisor) == [] and supervisor.alive() == [])


def test_killing_ends_the_children_of_programs_too(stand: Stand) -> None:
    supervisor = stand(family=WITH_CHILD)
    until(lambda: stand.says_here("family"))
    number = session(supervisor, "family")
    until(lambda: len(members(number)) == 3)
    supervisor.kill()
    until(lambda: stand.look(supervisor) == [] and supervisor.alive() == [])
    until(lambda: members(number) == [])


def test_what_a_program_leaves_behind_when_it_ends_is_killed(stand: Stand) -> None:
    supervisor = stand(careless=LEAVES_CHILD)
    number = session(supervisor, "careless")
    assert "exit 3" in stand.next_notice(supervisor).text
    until(lambda: members(number) == [])


def test_a_leash_that_is_killed_takes_its_program_along_and_both_come_again(stand: Stand) -> None:
    supervisor = stand(one=STUBBORN)
    until(lambda: stand.says_here("one"))
    number = session(supervisor, "one")
    os.kill(number, signal.SIGKILL)
    assert "SIGKILL" in stand.next_notice(supervisor).text
    until(lambda: members(number) == [])
    stand.now += 0.5
    stand.look(supervisor)
    assert supervisor.alive() == ["one"]


SUPERVISE = """
import sys, time
from pathlib import Path
from dispatch.cli.sessions import SessionRecord
from dispatch.cli.supervisor import Program, Supervisor
home, source = Path(sys.argv[1]), sys.argv[2]
program = Program(name="one", command=(sys.executable, "-c", source))
record = SessionRecord(home / "sessions", home)
supervisor = Supervisor([program], directory=home, logs=home / "logs", environment={"DISPATCH_HOME": str(home)},
                        record=record, grace=float(sys.argv[3]))
supervisor.start(time.monotonic())
print(supervisor.session_of("one"), flush=True)
time.sleep(600)
"""


def supervise_elsewhere(home: Path, source: str, grace: float) -> tuple[subprocess.Popen[str], int]:
    """Start a supervisor in a process of its own; return it and the session of its program."""
    command = [sys.executable, "-c", textwrap.dedent(SUPERVISE), str(home), source, str(grace)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    number = int(process.stdout.readline())
    until(lambda: (home / "logs" / "one.log").read_text().startswith("here"))
    return process, number


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_programs_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    process, number = supervise_elsewhere(tmp_path, LOYAL, 5)
    kill(process)
    until(lambda: members(number) == [])


def test_programs_that_ignore_sigterm_are_killed_when_their_supervisor_is(tmp_path: Path) -> None:
    process, number = supervise_elsewhere(tmp_path, STUBBORN, 0.2)
    kill(process)
    until(lambda: members(number) == [])


def test_the_next_supervisor_ends_what_a_killed_one_and_a_killed_leash_left(tmp_path: Path) -> None:
    process, number = supervise_elsewhere(tmp_path, STUBBORN, 60)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(number, signal.SIGKILL)
    kill(process)
    until(lambda: len(members(number)) == 1)
    assert SessionRecord(tmp_path / "sessions", tmp_path).end_leftovers(patience=0.1)
    until(lambda: members(number) == [])
    assert not SessionRecord(tmp_path / "sessions", tmp_path).end_leftovers(patience=0.1)


def test_a_recorded_session_that_is_anothers_by_now_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", LOYAL], start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        (tmp_path / "sessions").write_text(f"{stranger.pid}\n")
        assert not SessionRecord(tmp_path / "sessions", tmp_path).end_leftovers(patience=0.1)
        assert psutil.Process(stranger.pid).is_running()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_exit_codes_above_128_are_told_by_their_signal() -> None:
    assert describe_exit(137) == "SIGKILL"
    assert describe_exit(2) == "exit 2"
