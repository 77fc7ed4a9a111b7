"""Writing what must not be lost: tried again for as long as the database is away (PROTOCOL, rule 1)."""

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from dispatch.store import is_unavailable

_WAITS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries; the last one repeats until PostgreSQL is back."""

log = structlog.get_logger(__name__)
T = TypeVar("T")


def is_passing(error: BaseException) -> bool:
    """Tell whether an error is of the kind that time heals: PostgreSQL away, a lock not got, no free connection."""
    return is_unavailable(error) or isinstance(error, OperationalError | NoFreeConnection)


def write_patiently(write: Callable[[], T], what: str) -> T:
    """Return what `write` returns, however often it takes; `what` names it in the log. Other errors pass through."""
    for wait in chain(_WAITS, repeat(_WAITS[-1])):
        try:
            return write()
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("the database is away; it is tried again", what=what, cause=repr(error), seconds=wait)
        time.sleep(wait)
    raise AssertionError("unreachable: the waits have no end")
