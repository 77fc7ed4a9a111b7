"""How a process talks to PostgreSQL: the engine, the limits of a session, and trying again.

Every session carries timeouts (PROTOCOL, rule 13): a process that was stopped inside a transaction would otherwise hide
the rows it locked from everybody.
"""

from collections.abc import Callable
from typing import TypeVar

from psycopg import errors as pg
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

SESSION_OPTIONS = (
    "-c timezone=UTC -c idle_in_transaction_session_timeout=10s -c statement_timeout=30s -c lock_timeout=10s -c jit=off"
)
_TCP = {"connect_timeout": 5, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
_TCP_USER_TIMEOUT_MS = 20_000

T = TypeVar("T")


def make_engine(database_url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine whose sessions end by themselves when their process stops or the network goes away."""
    return create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=10,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={"options": SESSION_OPTIONS, "tcp_user_timeout": _TCP_USER_TIMEOUT_MS, **_TCP},
    )


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error means that PostgreSQL is away, as against a statement that is wrong."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, pg.OperationalError):
        return not isinstance(error.orig, pg.DeadlockDetected | pg.SerializationFailure | pg.LockNotAvailable)
    return False


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
