"""How the keeper looks after one server: takes it over, starts it, starts it again, gives up."""

import logging

from dispatch.embedded.home import EmbeddedHome
from dispatch.embedded.server_process import RunningServer, Server, stop_all
from dispatch.errors import EmbeddedServerError

MAX_FAILURES = 6
"""A server that ended so often without having stayed up is given up."""
STABLE_SECONDS = 30.0
"""A server that stayed up so long has no failures any more."""
SOCKET_SECONDS = 20.0
"""A server that runs so long without its socket is started again: something removed it."""
BUSY_SECONDS = 60.0
"""So long the last processes of an ended server may hold its lock."""

_log = logging.getLogger(__name__)


def restart_delay(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row: none, then 0.5 doubling up to 8."""
    return 0.0 if failures <= 1 else min(0.5 * 2.0 ** (failures - 2), 8.0)


class ServerWatch:
    """One server under watch. `look` is called again and again, with the time in seconds of a monotonic clock."""

    def __init__(self, home: EmbeddedHome, server: Server) -> None:
        self.server = server
        self.running: RunningServer | None = None
        self._home = home
        self._failures = 0
        self._healthy_at = 0.0
        self._started_at = 0.0
        self._next_start = 0.0
        self._busy_since: float | None = None

    def look(self, now: float) -> None:
        """Look once: start the server if it does not run and its time has come.

        Raises EmbeddedServerError when it has failed too often, or an ended one does not let go.
        """
        if self.running is None:
            self._begin(now)
        elif not self.running.is_alive():
            self._ended(now)
        elif self.server.socket.exists():
            self._healthy_at = now
            if now - self._started_at >= STABLE_SECONDS:
                self._failures = 0
        elif now - self._healthy_at >= SOCKET_SECONDS:
            _log.warning("%s runs without its socket %s: starting it again", self.server.name, self.server.socket)
            stop_all([(self.running, self.server.stop_signals)])

    def _begin(self, now: float) -> None:
        if now < self._next_start:
            return
        found = self.server.find()
        if found is not None:
            _log.info("%s runs already (process %d)", self.server.name, found.process.pid)
        else:
            found = self.server.start()
        if found is None:
            self._wait_for_lock(now)
            return
        self.running = found
        self._busy_since = None
        self._started_at = self._healthy_at = now

    def _wait_for_lock(self, now: float) -> None:
        if self._busy_since is None:
            self._busy_since = now
        if now - self._busy_since >= BUSY_SECONDS:
            raise self._given_up(f"cannot start: an earlier one has not ended in {BUSY_SECONDS:g} s")

    def _ended(self, now: float) -> None:
        self.running = None
        self._failures += 1
        self._next_start = now + restart_delay(self._failures)
        _log.warning("%s ended, failure %d", self.server.name, self._failures)
        if self._failures >= MAX_FAILURES:
            raise self._given_up(f"ended {self._failures} times soon after its start")

    def _given_up(self, problem: str) -> EmbeddedServerError:
        return EmbeddedServerError(
            server=self.server.name,
            home=self._home.root,
            problem=problem,
            log=self.server.log,
            cure="Read there why, and try again.",
        )
