"""Landing: one at a time a project, the one that waits longest first, and later when something is in the way."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, text

from dispatch.models.identity import ProjectId
from dispatch.models.landing import Conflict
from dispatch.models.outcome import Completed
from dispatch.results import judge_landing

SHA = "c" * 40


def test_a_turn_is_for_one_lander_at_a_time(scene: Any) -> None:
    landings, number = scene.store.landings, scene.project.number
    with landings.turn(number) as mine, landings.turn(number) as theirs:
        assert (mine, theirs) == (True, False)
    with landings.turn(number) as again:
        assert again is True


def test_turns_of_two_projects_do_not_meet(scene: Any) -> None:
    with scene.store.landings.turn(1) as one, scene.store.landings.turn(2) as two:
        assert one
        assert two


def test_a_turn_is_given_back_when_its_holder_raises(scene: Any) -> None:
    try:
        with scene.store.landings.turn(1):
            raise ArithmeticError
    except ArithmeticError:
        pass
    with scene.store.landings.turn(1) as mine:
        assert mine


def test_a_turn_is_free_when_the_connection_of_its_holder_ends(scene: Any) -> None:
    with scene.store.engine.connect() as lander:
        lander.execute(text("SELECT pg_advisory_lock(:space, 1)"), {"space": 0x6C616E64})
        session = lander.scalar(text("SELECT pg_backend_pid()"))
        lander.commit()
        with scene.store.landings.turn(1) as mine:
            assert mine is False
        assert ended(scene.store.engine, session)
        lander.invalidate()
    with scene.store.landings.turn(1) as mine:
        assert mine is True


def ended(engine: Engine, session: int, patience: timedelta = timedelta(seconds=20)) -> bool:
    """End a session of the server, and wait until it is gone: its locks go with it, not before."""
    milliseconds = int(patience.total_seconds() * 1000)
    statement = text("SELECT pg_terminate_backend(:session, :milliseconds)")
    with engine.connect() as connection:
        return bool(connection.scalar(statement, {"session": session, "milliseconds": milliseconds}))


def test_the_bead_that_waits_longest_lands_first(scene: Any) -> None:
    worker = scene.worker()
    assert scene.store.landings.next(ProjectId("shop")) is None
    for bead_id in ("shop-2", "shop-1"):
        scene.work(scene.bead(bead_id), worker, Completed(), SHA)
        scene.clock.advance(timedelta(seconds=1))
    assert scene.store.landings.next(ProjectId("shop")).id == "shop-2"


def test_a_postponed_landing_waits_and_says_why(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(), SHA)
    scene.store.landings.postpone(key, "The checkout has changes.", timedelta(seconds=30))
    assert scene.store.landings.next(key.project_id) is None
    assert scene.read(key).refusal == "The checkout has changes."
    scene.clock.advance(timedelta(seconds=30))
    assert scene.store.landings.next(key.project_id).id == key.bead_id


def test_a_bead_that_does_not_wait_to_land_is_not_postponed(scene: Any) -> None:
    key = scene.bead()
    scene.store.landings.postpone(key, "Why?", timedelta(seconds=30))
    assert scene.read(key).refusal == ""


def test_a_bounced_bead_lands_anew_without_the_old_wait(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(), SHA)
    scene.store.landings.postpone(key, "Later.", timedelta(hours=1))
    effect = judge_landing(scene.read(key), Conflict(output="README.md"), scene.settings)
    scene.store.settling.finish_landing(key, effect)
    bead = scene.read(key)
    assert (bead.status, bead.failures) == ("open", 1)
    (error,) = scene.store.reading.errors(key)
    assert error.error.startswith("landing: the work conflicts with main")
    assert error.dispatch == 1
    scene.clock.advance(timedelta(seconds=10))
    scene.store.swarm.heartbeat(worker)
    scene.work(key, worker, Completed(), "d" * 40)
    assert scene.store.landings.next(key.project_id).head_sha == "d" * 40
