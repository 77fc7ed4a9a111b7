"""What users of a home call: have the servers, look at them, stop them, remove them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from dispatch.embedded import postgres, users, valkey
from dispatch.embedded.file_lock import FileLock, read_pid
from dispatch.embedded.home import EmbeddedHome, Endpoints, Failure
from dispatch.embedded.private_place import remove_private_place
from dispatch.embedded.probe import postgres_problem, valkey_problem
from dispatch.embedded.server_process import RunningServer, StopSignals, open_log, stop_all
from dispatch.embedded.sockets import remove_short_directory
from dispatch.errors import EmbeddedServerError

_POLL_SECONDS = 0.03
_DOWN_SECONDS = 60.0
_KILL_SECONDS = 5.0
# A keeper that has just been killed holds its lock for a moment more; one that is never seen is in another container.
_TRUST_SECONDS = 1.0
_MAX_STARTS = 3
# What the keeper may know of its user's environment: never a key that was meant for an agent.
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Servers:
    """The addresses of the embedded servers: for SQLAlchemy, with the password, and for Celery."""

    database_url: str
    broker_url: str


@dataclass(frozen=True)
class ServerStatus:
    """One embedded server as it is found; paths are None before it was ever made."""

    running: bool
    pid: int | None
    socket: Path | None
    log: Path
    data: Path | None


@dataclass(frozen=True)
class EmbeddedStatus:
    """The embedded servers of a home as they are found, for `doctor`."""

    home: Path
    keeper_pid: int | None
    keeper_log: Path
    postgres: ServerStatus
    valkey: ServerStatus

    @property
    def running(self) -> bool:
        """Whether both servers run."""
        return self.postgres.running and self.valkey.running


def ensure(home: Path, *, timeout: float = 60, idle: float = 60) -> Servers:
    """Have both servers of a home answer, started as far as they do not run, and return their addresses.

    The home is made on first use. The calling process and its forked children count as users of the home until they
    end or call `release`; the servers stop after `idle` seconds without a user (the first user's word counts).

    Raises EmbeddedServerError when a server cannot be had, or not within `timeout` seconds.
    """
    place = EmbeddedHome.at(home)
    place.create()
    deadline = time.monotonic() + timeout
    trust = time.monotonic() + _TRUST_SECONDS
    if not users.register(place, timeout):
        raise _unavailable(place, "servers", f"did not finish stopping within {timeout:g} s", place.keeper_log)
    known_failure = place.read_failure()
    keeper = FileLock(place.keeper_lock)
    starts = 0
    while True:
        if keeper.acquire_now():
            starts += 1
            _check_starts(place, keeper, known_failure, starts)
            _start_keeper(place, keeper, idle)
        endpoints = place.read_endpoints()
        problem = _first_problem(place, endpoints)
        kept = _keeper_process(place) is not None or time.monotonic() >= trust
        if kept and problem is None and endpoints is not None:
            return Servers(postgres.database_url(place, endpoints), valkey.broker_url(endpoints))
        if time.monotonic() >= deadline:
            server, cause, log = problem or ("servers", "do not answer", place.keeper_log)
            raise _unavailable(place, server, f"{cause} after {timeout:g} s", log)
        time.sleep(_POLL_SECONDS)


def release(home: Path) -> None:
    """End this process's use of a home; the servers stop some time after the last user."""
    users.release(EmbeddedHome.at(home))


def down(home: Path) -> bool:
    """Stop both servers of a home at once, cleanly, whoever uses them; True when something ran."""
    place = EmbeddedHome.at(home)
    if not place.run.is_dir():
        return False
    lock = FileLock(place.keeper_lock)
    ran = _end_keeper(place, lock)
    try:
        found = _running_servers(place)
        stop_all(found)
        remove_short_directory(place)
        return ran or bool(found)
    finally:
        lock.release()


def purge(home: Path) -> None:
    """Stop the servers of a home and remove all they kept: the database, the broker's memory, logs and locks.

    Nothing else in the home is touched; a home left empty is removed.
    """
    place = EmbeddedHome.at(home)
    down(home)
    release(home)
    remove_private_place(place)
    for directory in (place.run, place.postgres, place.valkey):
        if directory.is_dir():
            shutil.rmtree(directory)
    if place.root.is_dir() and not any(place.root.iterdir()):
        place.root.rmdir()


def inspect(home: Path) -> EmbeddedStatus:
    """Look at the embedded servers of a home and change nothing."""
    place = EmbeddedHome.at(home)
    endpoints = place.read_endpoints()
    keeper = _keeper_process(place)
    data = postgres.data_directory(place)
    database = None if data is None else postgres.find_postgres(data)
    broker = valkey.find_valkey(place)
    return EmbeddedStatus(
        home=place.root,
        keeper_pid=None if keeper is None else keeper.pid,
        keeper_log=place.keeper_log,
        postgres=_status(database, endpoints.postgres_socket if endpoints else None, place.postgres_log, data),
        valkey=_status(broker, endpoints.valkey_socket if endpoints else None, place.valkey_log, place.valkey),
    )


def _status(found: RunningServer | None, socket: Path | None, log: Path, data: Path | None) -> ServerStatus:
    made = data if data is not None and data.is_dir() else None
    return ServerStatus(found is not None, None if found is None else found.process.pid, socket, log, made)


def _start_keeper(place: EmbeddedHome, lock: FileLock, idle: float) -> None:
    """Start a keeper that takes the lock over, and wait until it has gone to the background."""
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(_import_path())
    command = [sys.executable, "-P", "-m", "dispatch.embedded.keeper", str(place.root)]
    options = ["--lock-descriptor", str(lock.descriptor), "--idle", str(idle)]
    # What an earlier keeper left there is not to be believed before the new one has written it.
    place.endpoints_record.unlink(missing_ok=True)
    try:
        with open_log(place.keeper_log) as output:
            finished = subprocess.run(
                [*command, *options],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment,
                start_new_session=True,
                pass_fds=(lock.descriptor,),
            )
    finally:
        lock.release()
    if finished.returncode != 0:
        raise _unavailable(place, "servers", f"have no keeper: it ended with {finished.returncode}", place.keeper_log)


def _import_path() -> list[str]:
    """Return where the keeper looks for modules besides the interpreter's own places: where we are, then as we do."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [str(Path(__file__).resolve().parents[2]), *(str(Path(entry).resolve()) for entry in given if entry)]


def _check_starts(place: EmbeddedHome, lock: FileLock, known: Failure | None, starts: int) -> None:
    """Raise EmbeddedServerError, and let the lock go, when keepers have given up or gone since the wait began."""
    failure = place.read_failure()
    if failure is not None and failure != known:
        lock.release()
        raise EmbeddedServerError(
            server=failure.server, home=place.root, problem=failure.problem, log=failure.log, cure=failure.cure
        )
    if starts > _MAX_STARTS:
        lock.release()
        raise _unavailable(place, "servers", f"were stopped {_MAX_STARTS} times while they started", place.keeper_log)


def _first_problem(place: EmbeddedHome, endpoints: Endpoints | None) -> tuple[str, str, Path] | None:
    if endpoints is None:
        return "servers", "have not been started", place.keeper_log
    asked: list[tuple[str, Callable[[], str | None], Path]] = [
        ("Valkey", lambda: valkey_problem(endpoints.valkey_socket), place.valkey_log),
        ("PostgreSQL", lambda: postgres_problem(place, endpoints), place.postgres_log),
    ]
    for server, ask, log in asked:
        problem = ask()
        if problem is not None:
            return server, problem, log
    return None


def _unavailable(place: EmbeddedHome, server: str, problem: str, log: Path) -> EmbeddedServerError:
    cure = "Read there why, or give `database_url` and `broker_url` of servers of your own."
    return EmbeddedServerError(server=server, home=place.root, problem=problem, log=log, cure=cure)


def _keeper_process(place: EmbeddedHome) -> psutil.Process | None:
    pid = read_pid(place.keeper_lock)
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if "dispatch.embedded.keeper" in command and str(place.root) in command else None


def _end_keeper(place: EmbeddedHome, lock: FileLock) -> bool:
    """Take the keeper lock, ending the keeper that holds it; True when there was one."""
    deadline = time.monotonic() + _DOWN_SECONDS
    asked: set[int] = set()
    while not lock.acquire_now():
        keeper = _keeper_process(place)
        late = time.monotonic() - deadline
        if keeper is not None and (late >= 0 or keeper.pid not in asked):
            asked.add(keeper.pid)
            _signal(keeper, signal.SIGKILL if late >= 0 else signal.SIGTERM)
        if late >= _KILL_SECONDS:
            problem = f"have a keeper (process {read_pid(place.keeper_lock)}) that cannot be ended"
            raise EmbeddedServerError(
                server="servers", home=place.root, problem=problem, log=place.keeper_log, cure="End it by hand."
            )
        time.sleep(_POLL_SECONDS)
    return bool(asked)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _running_servers(place: EmbeddedHome) -> list[tuple[RunningServer, StopSignals]]:
    data = postgres.data_directory(place)
    database = None if data is None else postgres.find_postgres(data)
    broker = valkey.find_valkey(place)
    found = [(database, postgres.STOP_SIGNALS), (broker, valkey.STOP_SIGNALS)]
    return [(running, signals) for running, signals in found if running is not None]
