"""Counting what PostgreSQL is asked, in its own log: each statement that it logs is one round trip of a client.

The log names the program, by PGAPPNAME or the address's `application_name`. What the driver prepares beforehand is not
in it: once a statement, connection and kind.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

from benchmarks.parts.waiting import BenchmarkError
from dispatch.embedded.home import EmbeddedHome

_ENTRY = re.compile(
    r"^\S+ \S+ \S+ \[(?P<pid>\d+)\] (?P<program>\S+) LOG:  (?:statement|execute [^:]*): (?P<statement>.*)"
)
_END = re.compile(r"COMMIT|ROLLBACK(?! TO)")
_PING = ";"
_ON = ("ALTER SYSTEM SET log_statement = 'all'", "ALTER SYSTEM SET log_parameter_max_length = 0")
_OFF = ("ALTER SYSTEM RESET log_statement", "ALTER SYSTEM RESET log_parameter_max_length")
_REACHES_ALL = 0.3
"""Seconds until every session has read a changed configuration: each does before its next statement."""


@dataclass(slots=True)
class Asked:
    """What one program asked: round trips of any kind, and transactions, single statements outside of one included."""

    round_trips: int = 0
    transactions: int = 0

    def __add__(self, other: "Asked") -> "Asked":
        return Asked(self.round_trips + other.round_trips, self.transactions + other.transactions)

    def __sub__(self, other: "Asked") -> "Asked":
        return Asked(self.round_trips - other.round_trips, self.transactions - other.transactions)


class StatementLog:
    """PostgreSQL's log while it tells every statement."""

    def __init__(self, home: Path) -> None:
        self._path = EmbeddedHome.at(home).postgres_log

    def position(self) -> int:
        return self._path.stat().st_size

    def since(self, position: int) -> dict[str, Asked]:
        """Return what was asked after a position of the log, by program."""
        if self.position() < position:
            raise BenchmarkError("PostgreSQL's log was cut while statements were counted in it")
        with self._path.open("rb") as log:
            log.seek(position)
            return count_statements(log.read().decode(errors="replace").splitlines())


def count_statements(lines: Iterable[str]) -> dict[str, Asked]:
    """Count what a log tells, by program."""
    found: dict[str, Asked] = defaultdict(Asked)
    inside: set[str] = set()
    for entry in filter(None, map(_ENTRY.match, lines)):
        asked, session, statement = found[entry["program"]], entry["pid"], entry["statement"]
        asked.round_trips += 1
        if _END.match(statement):
            inside.discard(session)
        elif session not in inside and statement != _PING:
            asked.transactions += 1
        if statement.startswith("BEGIN"):
            inside.add(session)
    return found


@contextmanager
def statements_logged(home: Path, database_url: str) -> Iterator[StatementLog]:
    """Let the embedded PostgreSQL of a home log every statement during a block."""
    _tell(database_url, _ON)
    try:
        time.sleep(_REACHES_ALL)
        yield StatementLog(home)
    finally:
        _tell(database_url, _OFF)


def _tell(database_url: str, statements: tuple[str, ...]) -> None:
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in (*statements, "SELECT pg_reload_conf()"):
                connection.execute(text(statement))
    finally:
        engine.dispose()
