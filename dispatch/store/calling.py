"""Calls workers to look at what is asked of their runs: a heartbeat alone would tell them only with its next beat.

A call is a notification of PostgreSQL, sent with the transaction that asks for something and heard when that commits.
It says nothing but for which worker it is: what is asked of a run stays in its row, where the next heartbeat finds it
too. So a call that is lost, as behind a pooler that keeps no LISTEN, costs time and nothing else.
"""

import os
import select
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from dispatch.models.identity import IncarnationId
from dispatch.store.transaction import Transaction
from dispatch.store.written import written

_CHANNEL = "dispatch_stops"
_CALL = written(f"SELECT pg_notify('{_CHANNEL}', worker) FROM unnest(CAST(:workers AS text[])) AS worker")


def call(tx: Transaction, workers: Collection[IncarnationId]) -> None:
    """Have workers look, when this transaction commits, at what is asked of their runs."""
    if workers:
        tx.run(_CALL, workers=sorted(str(worker) for worker in workers))


class Calls:
    """The calls of all workers of a deployment, on a session that listens to them alone."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._wake_reader, self._wake_writer = os.pipe()

    def wait(self) -> frozenset[IncarnationId]:
        """Wait for calls, and return whom they are for; nobody when it was `interrupt` that ended the wait.

        Raises what psycopg raises when the database goes away.
        """
        ready, _, _ = select.select([self._session.fileno(), self._wake_reader], [], [])
        if self._session.fileno() not in ready:
            return frozenset()
        return frozenset(IncarnationId(UUID(told.payload)) for told in self._session.notifies(timeout=0))

    def interrupt(self) -> None:
        """End the waiting, of this moment or of the next. Any thread may call it."""
        os.write(self._wake_writer, b"w")

    def close(self) -> None:
        os.close(self._wake_reader)
        os.close(self._wake_writer)


@contextmanager
def listening(engine: Engine) -> Iterator[Calls]:
    """Open a session of its own that hears calls from now on."""
    connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    try:
        session: Any = connection.connection.driver_connection
        connection.detach()
        session.execute(f"LISTEN {_CHANNEL}")
        calls = Calls(session)
        try:
            yield calls
        finally:
            calls.close()
    except Exception:
        connection.invalidate()  # it may be lost, and then there is nothing to be tidied up on it
        raise
    finally:
        connection.close()
