"""Units of work: where transactions begin and end."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from dispatch.ports import Clock
from dispatch.store.transaction import Transaction


class Units:
    """Opens transactions on one engine with one clock."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self._singles = engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Open a transaction; it commits when the block ends and rolls back when it raises."""
        with self.engine.begin() as connection:
            yield Transaction(connection, self.clock)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a connection for reading; each statement sees what is committed when it begins."""
        with self.single() as tx:
            yield tx

    @contextmanager
    def single(self) -> Iterator[Transaction]:
        """Open a connection on which each statement is a transaction: for writes that are one statement."""
        with self._singles.connect() as connection:
            yield Transaction(connection, self.clock)
