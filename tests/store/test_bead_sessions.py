"""The conversation of a bead: kept under the token of its run, for a time."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.outcome import Failed, Lost
from dispatch.models.session import Session, Turn
from dispatch.store import schema

DAY = timedelta(hours=24)
TOLD = Session(
    runner="mine",
    role="dev",
    external_id="abc",
    host="here",
    turns=(Turn(role="user", text="Hello."), Turn(role="note", text="n", left_out=3, left_out_characters=9)),
)


@pytest.fixture
def run(scene: Any) -> Any:
    """Given a running run of the bead `shop-1`."""
    worker = scene.worker()
    return scene.start(scene.claimed(scene.bead()), worker)


def save(scene: Any, run: Any, session: Session = TOLD) -> bool:
    return scene.store.sessions.save(run.run.id, run.token, session, DAY)


def again(scene: Any, run: Any) -> Any:
    """Let the run fail, and start the next one of its bead."""
    worker = run.run.incarnation_id
    assert scene.report(run, Failed(cause="red tests"))
    scene.settle(run.run.id)
    scene.clock.advance(timedelta(minutes=1))
    scene.store.swarm.heartbeat(worker)
    return scene.start(scene.claimed(run.bead.key), worker)


def test_the_next_run_gets_what_the_last_one_kept(scene: Any, run: Any) -> None:
    assert run.session is None
    assert save(scene, run)
    told = again(scene, run).session
    assert (told.runner, told.role, told.external_id, told.host, told.turns) == (
        "mine",
        "dev",
        "abc",
        "here",
        TOLD.turns,
    )
    assert told.started_at == told.updated_at


def test_a_later_write_takes_the_place_of_the_earlier_and_keeps_its_beginning(scene: Any, run: Any) -> None:
    began = scene.clock.at
    save(scene, run)
    scene.clock.advance(timedelta(hours=1))
    assert save(scene, run, Session(runner="other", external_id="def"))
    told = scene.store.sessions.find(run.bead.key)
    assert (told.external_id, told.started_at, told.updated_at) == ("def", began, scene.clock.at)


def test_a_run_that_lost_its_fence_overwrites_nothing(scene: Any, run: Any) -> None:
    save(scene, run)
    later = again(scene, run)
    assert save(scene, later, Session(external_id="newer"))
    assert not save(scene, run, Session(external_id="older"))
    assert scene.store.sessions.find(run.bead.key).external_id == "newer"


def test_a_run_whose_end_was_reported_overwrites_nothing(scene: Any, run: Any) -> None:
    scene.report(run, Lost())
    assert not save(scene, run)
    assert scene.store.sessions.find(run.bead.key) is None


def test_one_that_looks_at_the_work_of_others_neither_writes_nor_reads_it(scene: Any, run: Any) -> None:
    save(scene, run)
    with scene.store.units.begin() as tx:
        tx.connection.execute(schema.runs.update().values(writes_branch=False))
    assert not save(scene, run, Session(external_id="reviewer"))
    assert scene.store.sessions.find(run.bead.key).external_id == "abc"


def test_after_its_time_it_is_not_told_and_is_deleted(scene: Any, run: Any) -> None:
    save(scene, run)
    scene.clock.advance(DAY - timedelta(seconds=1))
    assert scene.store.sessions.delete_expired() == 0
    assert scene.store.sessions.find(run.bead.key) is not None
    scene.clock.advance(timedelta(seconds=1))
    assert scene.store.sessions.find(run.bead.key) is None
    assert again(scene, run).session is None
    assert scene.store.sessions.delete_expired() == 1
    assert scene.store.sessions.delete_expired() == 0


def test_what_is_over_begins_anew(scene: Any, run: Any) -> None:
    save(scene, run)
    scene.clock.advance(DAY)
    save(scene, run)
    assert scene.store.sessions.find(run.bead.key).started_at == scene.clock.at


@pytest.mark.parametrize(
    ("asked", "resumes"),
    [
        ({}, "abc"),
        ({"runner": "other"}, ""),
        ({"role": "qa"}, ""),
        ({"host": "there"}, ""),
    ],
)
def test_only_the_same_runner_and_role_on_the_same_host_resume_a_program_s_session(
    asked: dict[str, str], resumes: str
) -> None:
    assert TOLD.resumable_id(**{"runner": "mine", "role": "dev", "host": "here"} | asked) == resumes


def test_a_session_that_lives_everywhere_is_resumed_everywhere() -> None:
    everywhere = Session(runner="mine", role="dev", external_id="abc")
    assert everywhere.resumable_id(runner="mine", role="dev", host="there") == "abc"


def test_a_write_waits_for_the_bead_before_it_holds_the_run(scene: Any, run: Any) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("SELECT FROM beads FOR UPDATE"))
        writing = threading.Thread(target=save, args=(scene, run))
        writing.start()
        give_up_at = time.monotonic() + 8
        with scene.store.units.read() as watching:
            while not watching.connection.execute(waiting).scalar():
                assert time.monotonic() < give_up_at, "the write does not wait"
        tx.connection.execute(text("SELECT FROM runs FOR UPDATE NOWAIT"))
    writing.join(30)
    assert scene.store.sessions.find(run.bead.key).external_id == "abc"
