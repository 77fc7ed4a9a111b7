"""Writing that outlasts a database that is away."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

import workers.persistence
from workers.persistence import is_passing, write_patiently


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Given no waiting: the seconds that it would take are kept."""
    waited: list[float] = []
    monkeypatch.setattr(workers.persistence.time, "sleep", waited.append)
    return waited


def test_it_tries_until_it_could_and_waits_longer_and_longer(away: Callable[[], Exception], waits: list[float]) -> None:
    errors = [away() for _ in range(7)]

    def write() -> str:
        if errors:
            raise errors.pop()
        return "written"

    assert write_patiently(write, "a test") == "written"
    assert waits == [0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


def test_what_time_does_not_heal_passes_through_at_once(waits: list[float]) -> None:
    def write() -> None:
        raise DataError("INSERT", {}, psycopg.DataError("no such text"))

    with pytest.raises(DataError):
        write_patiently(write, "a test")
    assert waits == []


def test_what_passes_is_told_from_what_does_not(away: Callable[[], Exception]) -> None:
    assert is_passing(away())
    assert is_passing(OperationalError("UPDATE", {}, psycopg.errors.LockNotAvailable("somebody else")))
    assert is_passing(NoFreeConnection("all in use"))
    assert not is_passing(DataError("INSERT", {}, psycopg.DataError("no such text")))
    assert not is_passing(ValueError("x"))
