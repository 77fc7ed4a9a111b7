"""Where the embedded servers keep their things inside a home.

```
HOME/run/       locks, pids, sockets, the keeper's log     (0700)
HOME/postgres/  password, log, and the data unless root    (0700)
HOME/valkey/    configuration, log, append-only files      (0700)
```
"""

import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dispatch.errors import EmbeddedServerError


@dataclass(frozen=True)
class Endpoints:
    """Where the two servers listen: a directory for PostgreSQL (as libpq wants it), a socket for Valkey."""

    postgres_directory: Path
    valkey_socket: Path

    @property
    def postgres_socket(self) -> Path:
        return self.postgres_directory / ".s.PGSQL.5432"


@dataclass(frozen=True)
class Failure:
    """Why the last keeper gave up; `keeper` tells one failure from the next."""

    keeper: str
    server: str
    problem: str
    log: str
    cure: str


@dataclass(frozen=True)
class EmbeddedHome:
    """The paths of one home. Nothing is made until `create` is called."""

    root: Path

    @classmethod
    def at(cls, home: Path) -> Self:
        """Return the home at a path, made absolute and free of symbolic links, so that all users mean the same one."""
        return cls(home.expanduser().resolve())

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def users_lock(self) -> Path:
        return self.run / "users"

    @property
    def keeper_lock(self) -> Path:
        return self.run / "keeper"

    @property
    def up_lock(self) -> Path:
        return self.run / "up"

    @property
    def keeper_log(self) -> Path:
        return self.run / "keeper.log"

    @property
    def endpoints_record(self) -> Path:
        return self.run / "endpoints.json"

    @property
    def failure_record(self) -> Path:
        return self.run / "failure.json"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def postgres_password(self) -> Path:
        return self.postgres / "password"

    @property
    def postgres_log(self) -> Path:
        return self.postgres / "log"

    @property
    def private_place_record(self) -> Path:
        """Names the directory outside the home that holds the data when the home is root's."""
        return self.postgres / "private-place"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def valkey_log(self) -> Path:
        return self.valkey / "log"

    def create(self) -> None:
        """Make the home and our three directories in it, all 0700; a home that exists keeps its own mode.

        Raises EmbeddedServerError when one cannot be made, is another user's or is not a directory.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._require_ours(self.root)
            for directory in (self.run, self.postgres, self.valkey):
                if not directory.is_symlink():
                    directory.mkdir(mode=0o700, exist_ok=True)
                self._require_ours(directory)
                if stat.S_IMODE(directory.stat().st_mode) != 0o700:
                    directory.chmod(0o700)
        except OSError as error:
            raise self._unusable(f"cannot be kept there: {error}") from error

    def _require_ours(self, directory: Path) -> None:
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode):
            problem = f"cannot use {directory}: it is not a directory"
        elif found.st_uid != os.geteuid():
            problem = (
                f"cannot use {directory}: it belongs to uid {found.st_uid}, and this process is uid {os.geteuid()}"
            )
        else:
            return
        raise self._unusable(problem)

    def _unusable(self, problem: str) -> EmbeddedServerError:
        return EmbeddedServerError(
            server="servers",
            home=self.root,
            problem=problem,
            log=self.keeper_log,
            cure="Run as the owner of the home, or set another `home`.",
        )

    def read_endpoints(self) -> Endpoints | None:
        """Return where the servers listen, or None before a keeper has ever started them."""
        record = _read_record(self.endpoints_record)
        if record is None:
            return None
        return Endpoints(Path(record["postgres_directory"]), Path(record["valkey_socket"]))

    def write_endpoints(self, endpoints: Endpoints) -> None:
        record = {
            "postgres_directory": str(endpoints.postgres_directory),
            "valkey_socket": str(endpoints.valkey_socket),
        }
        write_private(self.endpoints_record, json.dumps(record))

    def read_failure(self) -> Failure | None:
        """Return why the last keeper gave up, or None when it did not."""
        record = _read_record(self.failure_record)
        return None if record is None else Failure(**record)

    def write_failure(self, failure: Failure) -> None:
        write_private(self.failure_record, json.dumps(failure.__dict__))


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return record


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 whole or not at all, so that no reader sees half of it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
