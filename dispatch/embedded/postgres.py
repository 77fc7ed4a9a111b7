"""The embedded PostgreSQL: made once with a password and a database, started on a Unix socket only."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dispatch.embedded.file_lock import FileLock
from dispatch.embedded.home import EmbeddedHome, Endpoints, write_private
from dispatch.embedded.private_place import (
    binaries_of,
    make_account_directory,
    make_private_place,
    private_place,
    unprivileged_account,
    wheel_directory,
)
from dispatch.embedded.server_process import (
    ENVIRONMENT,
    Account,
    RunningServer,
    StopSignals,
    find_process,
    open_log,
    spawn,
)
from dispatch.errors import EmbeddedServerError

USER = "dispatch"
DATABASE = "dispatch"

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "shared_buffers": "128MB",
    # The truth of the system is here: it must survive the machine losing power.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "min_wal_size": "64MB",
    "max_wal_size": "512MB",
    # Our statements are short: compiling them, or sharing one out to helpers, costs more than it gains. Without
    # helpers, the small /dev/shm of a container is enough too.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
}


@dataclass(frozen=True)
class PostgresPlace:
    """Where a home's PostgreSQL lives: under the home, or for root in a place of an unprivileged account."""

    site: Path
    directory: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def socket_directory(self) -> Path | None:
        """Where the socket must be for the account to make it; None when any directory of the user will do."""
        return None if self.account is None else self.directory / "run"


def make_place(home: EmbeddedHome) -> PostgresPlace:
    """Return the place of a home's PostgreSQL, made as far as it is missing."""
    if os.geteuid() != 0:
        return PostgresPlace(wheel_directory(home), home.postgres, None)
    site, directory = make_private_place(home)
    return PostgresPlace(site, directory, unprivileged_account(home))


def data_directory(home: EmbeddedHome) -> Path | None:
    """Return where the data of a home is, or None when no PostgreSQL was made for it."""
    directory = private_place(home) if os.geteuid() == 0 else home.postgres
    return None if directory is None else directory / "data"


def find_postgres(data: Path) -> RunningServer | None:
    """Return the PostgreSQL that runs on a data directory, whoever started it."""
    return find_process(data / "postmaster.pid", "postgres", data)


def database_url(home: EmbeddedHome, endpoints: Endpoints) -> str:
    """Return the SQLAlchemy URL of the embedded database; it carries the password."""
    password = quote(read_password(home), safe="")
    return f"postgresql+psycopg://{USER}:{password}@/{DATABASE}?host={quote(str(endpoints.postgres_directory))}"


def read_password(home: EmbeddedHome) -> str:
    return home.postgres_password.read_text().strip()


STOP_SIGNALS: StopSignals = (
    (signal.SIGINT, 30.0),
    (signal.SIGQUIT, 10.0),
    (signal.SIGKILL, 5.0),
)
"""PostgreSQL's fast shutdown, its immediate one, and the end."""


class PostgresServer:
    """The PostgreSQL of one home, for its keeper."""

    name = "PostgreSQL"
    stop_signals = STOP_SIGNALS

    def __init__(self, home: EmbeddedHome, place: PostgresPlace, socket_directory: Path) -> None:
        self.log = home.postgres_log
        self._home = home
        self._place = place
        self._sockets = socket_directory
        self._lock_path = home.postgres / "lock"

    @property
    def socket(self) -> Path:
        return self._sockets / ".s.PGSQL.5432"

    def find(self) -> RunningServer | None:
        return find_postgres(self._place.data)

    def start(self) -> RunningServer | None:
        lock = FileLock(self._lock_path)
        if not lock.acquire_now():
            return None
        try:
            if not self._place.data.is_dir():
                self._initialise(lock)
            elif not self._home.postgres_password.exists():
                raise self._trouble(
                    f"has data in {self._place.data}, and its password is gone",
                    f"Bring {self._home.postgres_password} back, or move the data away to begin again.",
                )
            # Every process of a PostgreSQL on this data shares the lock, so what is left here is left by the dead;
            # their pids may belong to others by now, which PostgreSQL would take for a server that runs.
            for stale in (self._place.data / "postmaster.pid", Path(f"{self.socket}.lock")):
                stale.unlink(missing_ok=True)
            return spawn(self._server_command(), log=self.log, lock=lock, account=self._place.account)
        finally:
            lock.release()

    def _server_command(self) -> list[str]:
        quoted_directory = str(self._sockets).replace('"', '""')
        settings = _SETTINGS | {"unix_socket_directories": f'"{quoted_directory}"'}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [str(binaries_of(self._place.site) / "postgres"), "-D", str(self._place.data), *options]

    def _initialise(self, lock: FileLock) -> None:
        """Make the cluster, its superuser and its database beside the final name, then move it there whole."""
        if not self._home.postgres_password.exists():
            write_private(self._home.postgres_password, f"{secrets.token_urlsafe(24)}\n")
        account = self._place.account
        unfinished = self._place.directory / "unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        if account is not None:
            make_account_directory(unfinished, account)
        binaries = binaries_of(self._place.site)
        with tempfile.NamedTemporaryFile(dir=self._place.directory, prefix=".password-") as password:
            password.write(self._home.postgres_password.read_bytes())
            password.flush()
            if account is not None:
                os.fchown(password.fileno(), account.uid, account.gid)
            self._run(
                lock,
                str(binaries / "initdb"),
                f"--pgdata={unfinished}",
                f"--username={USER}",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            )
        self._run(
            lock,
            *(str(binaries / "postgres"), "--single", "-D", str(unfinished), "-c", "exit_on_error=on", "postgres"),
            statement=f"CREATE DATABASE {DATABASE}\n",
        )
        unfinished.rename(self._place.data)

    def _run(self, lock: FileLock, *command: str, statement: str = "") -> None:
        """Run one of PostgreSQL's programs to its end; it holds the lock even if this process dies under it."""
        account = self._place.account
        with open_log(self.log) as output:
            finished = subprocess.run(
                command,
                check=False,
                input=statement.encode(),
                stdout=output,
                stderr=output,
                cwd="/",
                env=ENVIRONMENT,
                umask=0o077,
                pass_fds=(lock.descriptor,),
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        if finished.returncode != 0:
            problem = f"could not be made: {Path(command[0]).name} ended with {finished.returncode}"
            raise self._trouble(problem, "Read there why, and try again.")

    def _trouble(self, problem: str, cure: str) -> EmbeddedServerError:
        return EmbeddedServerError(server=self.name, home=self._home.root, problem=problem, log=self.log, cure=cure)
