"""How a process talks to PostgreSQL: the engine, the limits of a session, and trying again.

Every session carries timeouts (PROTOCOL, rule 13): a process that was stopped inside a transaction would otherwise hide
the rows it locked from everybody.
"""

import math
import select
import time
from collections.abc import Callable
from typing import Any, TypeVar

from psycopg import errors as pg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError

SESSION_OPTIONS = (
    "-c timezone=UTC -c idle_in_transaction_session_timeout=10s -c statement_timeout=30s -c lock_timeout=10s -c jit=off"
    " -c plan_cache_mode=force_generic_plan"
)
"""Plans are made once a session: planning a statement of a bead's walk again costs as much as executing it."""
_TCP = {"connect_timeout": 5, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
_TCP_USER_TIMEOUT_MS = 20_000
_REST = 1.0
"""Seconds after which an unused connection is tried before it is used: while work goes on, a ping for each transaction
would be a tenth of what the database does."""

T = TypeVar("T")


def make_engine(database_url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine whose sessions end by themselves when their process stops or the network goes away."""
    engine = create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=10,
        pool_recycle=1800,
        connect_args={"options": SESSION_OPTIONS, "tcp_user_timeout": _TCP_USER_TIMEOUT_MS, **_TCP},
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _try_doubtful)
    return engine


def _note_use(_connection: object, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _try_doubtful(connection: Any, record: Any, _proxy: object) -> None:
    """Try a connection that rested, or that the server said something on unasked: as a rule that it ends it.

    One that turns out to be dead is replaced and not used. There is no transaction to be rolled back: with that the
    driver would forget all that it has prepared.
    """
    rested = time.monotonic() - record.info.get("used_at", math.inf)
    if rested < _REST and not _has_news(connection.fileno()):
        return
    try:
        connection.autocommit = True
        connection.execute("SELECT")
        connection.autocommit = False
    except pg.OperationalError as error:
        raise DisconnectionError from error


def _has_news(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error means that PostgreSQL is away, as against a statement that is wrong."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, pg.OperationalError):
        return not isinstance(error.orig, pg.DeadlockDetected | pg.SerializationFailure | pg.LockNotAvailable)
    return False


def again_on_a_fresh_connection(work: Callable[[], T]) -> T:
    """Run a guarded transaction again when the server turned out to have ended the connection it began on."""
    try:
        return work()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return work()


def retrying(work: Callable[[], T], *, attempts: int = 5) -> T:
    """Run a whole transaction again when the database chose it as the victim (40P01, 40001)."""
    for attempt in range(1, attempts + 1):
        try:
            return work()
        except OperationalError as error:
            victim = isinstance(error.orig, pg.DeadlockDetected | pg.SerializationFailure)
            if not victim or attempt == attempts:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")
