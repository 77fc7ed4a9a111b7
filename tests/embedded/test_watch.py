"""How often and when the keeper starts a server again; the time is given."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dispatch.embedded.home import EmbeddedHome
from dispatch.embedded.server_process import RunningServer
from dispatch.embedded.watch import BUSY_SECONDS, MAX_FAILURES, SOCKET_SECONDS, STABLE_SECONDS, ServerWatch
from dispatch.errors import EmbeddedServerError


class Sleeper:
    """A server that only sleeps: a real process, with a file for a socket."""

    name = "Sleeper"
    stop_signals = ((signal.SIGTERM, 10.0),)

    def __init__(self, directory: Path) -> None:
        self.log = directory / "log"
        self.socket = directory / "socket"
        self.socket.write_text("")
        self.children: list[subprocess.Popen[bytes]] = []
        self.busy = False

    def find(self) -> RunningServer | None:
        return None

    def start(self) -> RunningServer | None:
        if self.busy:
            return None
        child = subprocess.Popen(["sleep", "600"])
        self.children.append(child)
        return RunningServer(psutil.Process(child.pid), child)

    def end_last(self) -> None:
        self.children[-1].kill()
        self.children[-1].wait()


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Sleeper]:
    server = Sleeper(tmp_path)
    yield server
    for child in server.children:
        child.kill()
        child.wait()


@pytest.fixture
def watch(tmp_path: Path, sleeper: Sleeper) -> ServerWatch:
    return ServerWatch(EmbeddedHome.at(tmp_path), sleeper)


def test_the_first_restart_is_at_once_and_later_ones_wait_longer(watch: ServerWatch, sleeper: Sleeper) -> None:
    now = 100.0
    watch.look(now)
    for delay in (0.0, 0.5, 1.0):
        sleeper.end_last()
        watch.look(now)
        started = len(sleeper.children)
        if delay:
            watch.look(now + delay - 0.01)
            assert len(sleeper.children) == started
        watch.look(now + delay)
        assert len(sleeper.children) == started + 1
        now += delay


def test_a_server_that_ends_again_and_again_is_given_up_with_its_log(watch: ServerWatch, sleeper: Sleeper) -> None:
    now = 100.0
    watch.look(now)
    for _ in range(MAX_FAILURES - 1):
        sleeper.end_last()
        watch.look(now)
        now += 10
        watch.look(now)
    sleeper.end_last()
    with pytest.raises(EmbeddedServerError, match=f"ended {MAX_FAILURES} times.*{sleeper.log}"):
        watch.look(now)


def test_failures_are_forgotten_when_a_server_stays_up(watch: ServerWatch, sleeper: Sleeper) -> None:
    now = 100.0
    watch.look(now)
    for _ in range(3 * MAX_FAILURES):
        sleeper.end_last()
        watch.look(now)
        watch.look(now)
        now += STABLE_SECONDS
        watch.look(now)
    assert watch.running is not None


def test_a_server_without_its_socket_is_started_again(watch: ServerWatch, sleeper: Sleeper) -> None:
    watch.look(100.0)
    watch.look(200.0)
    sleeper.socket.unlink()
    watch.look(200.0 + SOCKET_SECONDS - 1)
    assert sleeper.children[0].poll() is None
    watch.look(200.0 + SOCKET_SECONDS)
    assert sleeper.children[0].wait(10) == -signal.SIGTERM
    watch.look(221.0)
    watch.look(221.0)
    assert len(sleeper.children) == 2


def test_the_last_processes_of_an_ended_server_are_waited_for_but_not_for_ever(
    watch: ServerWatch, sleeper: Sleeper
) -> None:
    sleeper.busy = True
    watch.look(100.0)
    watch.look(100.0 + BUSY_SECONDS - 1)
    with pytest.raises(EmbeddedServerError, match="an earlier one has not ended"):
        watch.look(100.0 + BUSY_SECONDS)
    sleeper.busy = False
    watch.look(100.0 + BUSY_SECONDS)
    assert watch.running is not None
