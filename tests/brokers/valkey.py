"""A Valkey of a test's own: the embedded program as the embedded servers start it, without a keeper."""

import shutil
import signal
import tempfile
import time
from pathlib import Path

import redis

from dispatch.embedded.home import EmbeddedHome, Endpoints
from dispatch.embedded.probe import valkey_problem
from dispatch.embedded.server_process import RunningServer, stop_all
from dispatch.embedded.valkey import STOP_SIGNALS, ValkeyServer, broker_url

_PATIENCE = 20.0


class PrivateValkey:
    """One Valkey on a Unix socket, every write appended to a file, that a test may kill and start again.

    Its directory is short: paths of sockets end at some hundred characters, and those of pytest are long.
    """

    def __init__(self) -> None:
        self._home = EmbeddedHome.at(Path(tempfile.mkdtemp(prefix="dispatch-valkey-")))
        self._home.create()
        self.socket = self._home.root / "socket"
        self.url = broker_url(Endpoints(self._home.root, self.socket))
        self._running: RunningServer | None = None
        self.start()

    def start(self) -> None:
        """Start the server, if it does not run, and wait until it answers."""
        if self.is_running():
            return
        deadline = time.monotonic() + _PATIENCE
        # Only a server that was killed a moment ago can hold the lock on its files still.
        while (running := ValkeyServer(self._home, self.socket).start()) is None:
            assert time.monotonic() < deadline, "the earlier Valkey does not let go of its files"
            time.sleep(0.02)
        self._running = running
        while (problem := valkey_problem(self.socket)) is not None:
            assert running.is_alive(), self.log()
            assert time.monotonic() < deadline, f"Valkey {problem}\n{self.log()}"
            time.sleep(0.02)

    def is_running(self) -> bool:
        return self._running is not None and self._running.is_alive()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal the server and wait until it is gone."""
        assert self._running is not None
        stop_all([(self._running, ((number, _PATIENCE),))])
        assert not self._running.is_alive()

    def forget(self) -> None:
        """Throw away all that a stopped server kept."""
        assert not self.is_running()
        shutil.rmtree(self._home.valkey / "appendonlydir")

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def log(self) -> str:
        return self._home.valkey_log.read_text(errors="replace")[-5_000:]

    @property
    def pid(self) -> int | None:
        return self._running.process.pid if self._running is not None else None

    def end(self) -> None:
        """Stop the server and remove its files."""
        if self._running is not None:
            stop_all([(self._running, STOP_SIGNALS)])
        shutil.rmtree(self._home.root)
