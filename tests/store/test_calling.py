"""Calls: whoever asks a running agent to stop, its worker hears of it when that is committed, and no other does."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from psycopg import OperationalError

from dispatch.models.identity import ProjectId
from dispatch.store.calling import listening


def _close(scene: Any, key: Any, _: Any) -> None:
    scene.store.edits.close(key, "")


def _cancel(scene: Any, key: Any, _: Any) -> None:
    scene.store.control.cancel(key, by="ada")


def _stop(scene: Any, _key: Any, _: Any) -> None:
    scene.store.control.end_runs(ProjectId("shop"), "A stop.", running=True)


def _hand_back(scene: Any, _key: Any, worker: Any) -> None:
    scene.store.swarm.stop_taking(worker)


def _be_late(scene: Any, _key: Any, _: Any) -> None:
    scene.clock.advance(timedelta(hours=1))
    assert scene.store.rescue.stop_overdue(timedelta(seconds=5))


@pytest.mark.parametrize("ask", [_close, _cancel, _stop, _hand_back, _be_late])
def test_whoever_asks_an_agent_to_stop_calls_its_worker(scene: Any, ask: Callable[..., None]) -> None:
    worker, key = scene.worker(), scene.bead()
    scene.start(scene.claimed(key), worker)
    with listening(scene.store.engine) as calls:
        ask(scene, key, worker)
        assert calls.wait() == {worker}


def test_a_second_asking_calls_nobody_and_a_wait_can_be_ended(scene: Any) -> None:
    worker, key = scene.worker(), scene.bead()
    scene.start(scene.claimed(key), worker)
    scene.store.control.cancel(key, by="ada")
    with listening(scene.store.engine) as calls:
        scene.store.control.cancel(key, by="ada")
        calls.interrupt()
        assert calls.wait() == frozenset()


def test_who_listens_notices_that_the_server_ends_the_session(scene: Any, caplog: pytest.LogCaptureFixture) -> None:
    def hear() -> None:
        with listening(scene.store.engine) as calls:
            scene.value(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                " AND datname = current_database()"
            )
            while not calls.wait():
                pass  # a last word of the server may come before the end

    with pytest.raises(OperationalError):
        hear()
    assert caplog.records == []
