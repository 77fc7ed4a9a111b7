"""The keeper of a home: starts and watches its two servers, and stops them when nobody has used them for a while.

`python -m dispatch.embedded.keeper HOME --lock-descriptor N --idle SECONDS`, started by the first user of a home with
the home's keeper lock in hand. It ends itself in the background, away from the user's terminal and pipes. When it is
killed the servers go on, and the next keeper takes them over.
"""

import argparse
import logging
import os
import select
import signal
import time
from pathlib import Path
from types import FrameType

import psutil

from dispatch.embedded.file_lock import FileLock
from dispatch.embedded.home import EmbeddedHome, Endpoints, Failure
from dispatch.embedded.postgres import PostgresServer, make_place
from dispatch.embedded.server_process import LOG_LIMIT, Server, bound_log, stop_all
from dispatch.embedded.sockets import remove_short_directory, socket_directory, valkey_socket
from dispatch.embedded.users import IdleWatch
from dispatch.embedded.valkey import ValkeyServer
from dispatch.embedded.watch import ServerWatch
from dispatch.errors import EmbeddedServerError

_LOOK_SECONDS = 0.5
_KEEPER_LOG_LIMIT = LOG_LIMIT // 8

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps two servers running until it is told to stop or nobody is left."""

    def __init__(self, home: EmbeddedHome, lock: FileLock, idle_seconds: float) -> None:
        self._home = home
        self._lock = lock
        self._idle_seconds = idle_seconds
        self._woken, self._wake = os.pipe()
        self._told_to_stop = False
        self._watches: list[ServerWatch] = []

    def run(self) -> None:
        """Start or take over the servers, watch them, and stop them at the end, whatever ends it.

        Raises EmbeddedServerError when a server cannot be made or does not stay up.
        """
        self._listen()
        try:
            self._watches = [ServerWatch(self._home, server) for server in self._servers()]
            idle = IdleWatch(self._home, time.monotonic())
            while not self._told_to_stop and self._home_is_there():
                now = time.monotonic()
                for watch in self._watches:
                    watch.look(now)
                    bound_log(watch.server.log)
                if idle.is_over(now, self._idle_seconds):
                    _log.info("nobody has used the servers for %g s", self._idle_seconds)
                    break
                self._sleep(min(_LOOK_SECONDS, max(self._idle_seconds / 4, 0.02)))
        finally:
            stop_all((watch.running, watch.server.stop_signals) for watch in self._watches if watch.running is not None)
            remove_short_directory(self._home)
            _log.info("stopped the servers")

    def _home_is_there(self) -> bool:
        there = self._lock.is_current()
        if not there:
            _log.warning("the home was removed, or another took its place")
        return there

    def _servers(self) -> list[Server]:
        place = make_place(self._home)
        directory = socket_directory(self._home)
        endpoints = Endpoints(place.socket_directory or directory, valkey_socket(directory))
        self._home.write_endpoints(endpoints)
        return [
            ValkeyServer(self._home, endpoints.valkey_socket),
            PostgresServer(self._home, place, endpoints.postgres_directory),
        ]

    def _listen(self) -> None:
        """Let signals end the sleep between two looks: to stop, or because a server ended."""
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _sleep(self, seconds: float) -> None:
        if select.select([self._woken], [], [], seconds)[0]:
            os.read(self._woken, 4096)


def keep(home: EmbeddedHome, lock: FileLock, idle_seconds: float) -> int:
    """Be the keeper of a home; return the exit code. Why it gave up is left in the home for its users."""
    lock.write(f"{os.getpid()}\n")
    home.failure_record.unlink(missing_ok=True)
    _log.info("keeper %d of %s", os.getpid(), home.root)
    try:
        Keeper(home, lock, idle_seconds).run()
    except (EmbeddedServerError, OSError, psutil.Error) as error:
        _log.exception("the keeper gave up")
        if home.run.is_dir():
            home.write_failure(_failure(home, error))
        return 1
    return 0


def _failure(home: EmbeddedHome, error: Exception) -> Failure:
    keeper = f"{os.getpid()} {time.time_ns()}"
    if isinstance(error, EmbeddedServerError):
        facts = {name: str(error.facts[name]) for name in ("server", "problem", "log", "cure")}
        return Failure(keeper=keeper, **facts)
    problem = f"could not be kept: {error}"
    return Failure(keeper, "servers", problem, str(home.keeper_log), "Read there why, and try again.")


def main() -> int:
    """Leave the caller's process tree, then keep the home."""
    parser = argparse.ArgumentParser(prog="python -m dispatch.embedded.keeper", description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--lock-descriptor", type=int, required=True)
    parser.add_argument("--idle", type=float, required=True, metavar="SECONDS")
    arguments = parser.parse_args()
    # The caller waits for this first process; the second is nobody's child, so no caller has to reap it.
    if os.fork() != 0:
        return 0
    home = EmbeddedHome.at(arguments.home)
    bound_log(home.keeper_log, _KEEPER_LOG_LIMIT)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return keep(home, FileLock.inherited(home.keeper_lock, arguments.lock_descriptor), arguments.idle)


if __name__ == "__main__":
    raise SystemExit(main())
