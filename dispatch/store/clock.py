"""Two clocks: the database's own, and one that stands where it is put."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import TIMESTAMP, ColumnElement, func, literal


class DatabaseClock:
    """`clock_timestamp()`: moves within a transaction, and is the same for every host."""

    given: datetime | None = None

    def now(self) -> ColumnElement[Any]:
        return func.clock_timestamp()


class FixedClock:
    """A moment that only `advance` moves: for asking about another time, and for tests."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a FixedClock needs a moment with a time zone")
        self.at = at

    @property
    def given(self) -> datetime:
        return self.at

    def now(self) -> ColumnElement[Any]:
        return literal(self.at, TIMESTAMP(timezone=True))

    def advance(self, by: timedelta) -> None:
        self.at += by
