"""Sessions end by themselves: a process that was stopped inside a transaction hides no rows (PROTOCOL, rule 13)."""

import threading
from typing import Any

import pytest
from psycopg import errors as pg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from dispatch.store import is_unavailable
from dispatch.store.engine import retrying

LIMITS = {
    "idle_in_transaction_session_timeout": "10s",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "TimeZone": "UTC",
    "jit": "off",
}


@pytest.mark.parametrize(("name", "value"), LIMITS.items())
def test_a_session_has_its_limits(scene: Any, name: str, value: str) -> None:
    with scene.store.engine.connect() as connection:
        assert connection.execute(text(f"SHOW {name}")).scalar_one() == value


def test_a_session_that_sits_in_a_transaction_is_ended_and_its_rows_are_free_again(scene: Any) -> None:
    key = scene.bead()
    sitting = scene.store.engine.connect()
    sitting.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
    sitting.execute(text("SELECT FROM beads FOR UPDATE"))
    closed: list[object] = []
    closer = threading.Thread(target=lambda: closed.append(scene.store.edits.close(key, "It waited for the row.")))
    closer.start()
    closer.join(20)
    assert closed == [()]
    with pytest.raises(DBAPIError) as ended:
        sitting.execute(text("SELECT 1"))
    assert is_unavailable(ended.value)
    sitting.invalidate()
    sitting.close()


def test_an_address_where_nobody_answers_is_unavailable_and_a_wrong_statement_is_not(scene: Any) -> None:
    with scene.store.engine.connect() as connection, pytest.raises(DBAPIError) as wrong:
        connection.execute(text("SELECT nonsense"))
    assert not is_unavailable(wrong.value)
    assert not is_unavailable(ValueError("no database"))
    assert is_unavailable(OperationalError("", {}, pg.OperationalError("connection refused")))
    assert not is_unavailable(OperationalError("", {}, pg.LockNotAvailable("somebody else has it")))


@pytest.mark.parametrize("cause", [pg.DeadlockDetected, pg.SerializationFailure])
def test_the_victim_of_a_deadlock_is_tried_again(cause: type[pg.Error]) -> None:
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("", {}, cause("you were chosen"))
        return "done"

    assert retrying(work) == "done"
    assert len(tries) == 3


def test_a_victim_again_and_again_gives_up_and_other_errors_are_not_tried_again() -> None:
    tries: list[int] = []

    def work(cause: pg.Error) -> None:
        tries.append(1)
        raise OperationalError("", {}, cause)

    with pytest.raises(OperationalError):
        retrying(lambda: work(pg.DeadlockDetected("again")), attempts=3)
    assert len(tries) == 3
    with pytest.raises(OperationalError):
        retrying(lambda: work(pg.OperationalError("gone")))
    assert len(tries) == 4
