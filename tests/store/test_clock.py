"""The database's clock is one clock for all, and goes on inside a transaction (PROTOCOL, rule 10)."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.store import FixedClock, Store

LEASE = timedelta(seconds=45)


def test_the_databases_clock_goes_on_inside_a_transaction(store: Any) -> None:
    """A lease would otherwise be shorter by all that its transaction waited for a lock."""
    with store.units.begin() as tx:
        first = tx.moment()
        tx.connection.execute(text("SELECT pg_sleep(0.05)"))
        assert tx.moment() - first >= timedelta(seconds=0.05)


def test_the_lease_of_a_start_that_waited_is_a_whole_one(scene: Any) -> None:
    """It waited for the row of its agent, which somebody held."""
    worker = scene.worker()
    run_id = scene.claimed(scene.bead())
    store = Store(scene.store.engine, lease=LEASE)
    assert store.swarm.heartbeat(worker)
    answers: list[Any] = []
    starting = threading.Thread(target=lambda: answers.append(store.running.start(run_id, worker)))
    with store.units.begin() as tx:
        tx.connection.execute(text("SELECT FROM agents FOR UPDATE"))
        starting.start()
        deadline = time.monotonic() + 20
        while not scene.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        freed = tx.connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    starting.join(20)
    run = answers[0].run
    assert run.started_at >= freed
    assert run.lease_until >= freed + LEASE


def test_a_fixed_clock_stands_until_it_is_moved_and_wants_a_time_zone(scene: Any) -> None:
    with scene.store.units.begin() as tx:
        assert tx.moment() == tx.moment() == scene.clock.at
        scene.clock.advance(timedelta(minutes=1))
        assert tx.moment() == scene.clock.at
    with pytest.raises(ValueError, match="time zone"):
        FixedClock(scene.clock.at.replace(tzinfo=None))
