"""Sessions end by themselves: a process that was stopped inside a transaction hides no rows (PROTOCOL, rule 13)."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from psycopg import errors as pg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from dispatch.store import is_unavailable, make_engine
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


STOPPED = """
import os, signal, sys
from sqlalchemy import text
from dispatch.store import make_engine
with make_engine(sys.argv[1]).begin() as connection:
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '200ms'"))
    connection.execute(text("SELECT FROM beads FOR UPDATE"))
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_process_that_is_stopped_inside_a_transaction_holds_its_rows_no_longer(scene: Any, database_url: str) -> None:
    key = scene.bead()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", STOPPED, database_url]
    with subprocess.Popen(command, env=environment) as stopped:
        try:
            _, status = os.waitpid(stopped.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), "it ended before it was stopped"
            assert scene.store.edits.close(key, "It waited for the row.") == ()
            assert stopped.poll() is None
        finally:
            stopped.send_signal(signal.SIGKILL)


def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = make_engine(f"postgresql+psycopg://dispatch:x@127.0.0.1:{silent.getsockname()[1]}/dispatch")
        began = time.monotonic()
        with pytest.raises(OperationalError) as away:
            engine.connect()
        assert time.monotonic() - began < 15, "connect_timeout is 5 s"
        assert is_unavailable(away.value)


def test_a_network_that_goes_away_is_noticed(scene: Any) -> None:
    with scene.store.engine.connect() as connection:
        parameters = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
    limits = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
    assert {name: parameters.get(name) for name in limits} == {
        "keepalives_idle": "15",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "20000",
    }


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


def test_a_connection_that_the_server_has_just_ended_is_replaced_before_it_is_used(scene: Any) -> None:
    with scene.store.engine.connect() as connection:
        number = connection.scalar(text("SELECT pg_backend_pid()"))
    other = make_engine(scene.store.engine.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        assert connection.scalar(text("SELECT pg_terminate_backend(:number, 20000)"), {"number": number})
    other.dispose()
    with scene.store.engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != number
