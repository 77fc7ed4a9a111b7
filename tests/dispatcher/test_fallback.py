"""Beads whose role nobody serves, bugs that nothing sorts, and why each bead went where it did."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.dispatcher.dispatcher import LOOK_AGAIN
from dispatch.models.outcome import Failed
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.routing import Router
from dispatch.settings import Settings

WAIT = timedelta(minutes=10)


@pytest.fixture
def dispatching(scene: Any, bus: Any) -> Callable[..., Dispatcher]:
    """Given a way to make a dispatcher by a configuration."""

    def make(**changed: Any) -> Dispatcher:
        values = {**scene.settings.model_dump(), **changed}
        return Dispatcher(scene.store, bus, Settings.model_validate(values))

    return make


def _went(dispatcher: Dispatcher) -> list[tuple[str | None, str | None]]:
    return [(result.bead_id, result.role) for result in dispatcher.dispatch()]


def _pass(scene: Any, worker: Any, by: timedelta) -> None:
    scene.clock.advance(by)
    assert scene.store.swarm.heartbeat(worker)


def test_a_role_that_nobody_serves_is_waited_for_then_any_agent_takes_the_bead(scene: Any, dispatching: Any) -> None:
    dispatcher, worker = dispatching(), scene.worker()
    scene.bead("shop-1", role="qa")
    _pass(scene, worker, WAIT - timedelta(seconds=1))
    assert _went(dispatcher) == []
    _pass(scene, worker, LOOK_AGAIN)
    (result,) = dispatcher.dispatch()
    assert (result.bead_id, result.role) == ("shop-1", "dev")
    assert result.reason == "Nobody serves the role qa, so any agent may take it."


def test_with_no_wait_it_goes_at_once_and_so_does_the_next(scene: Any, dispatching: Any) -> None:
    dispatcher = dispatching(dispatch={"role_wait": "0s"})
    scene.worker(agents=2)
    assert _went(dispatcher) == []
    scene.bead("shop-1", role="qa")
    assert _went(dispatcher) == [("shop-1", "dev")]
    scene.bead("shop-2", role="ops")
    assert _went(dispatcher) == [("shop-2", "dev")]


@pytest.mark.parametrize("waits", [{"role_wait": "never"}, {"fallback": "wait"}, {"fallback": "wait", "role_wait": 0}])
def test_it_can_wait_for_ever(scene: Any, dispatching: Any, waits: dict[str, Any]) -> None:
    dispatcher, worker = dispatching(dispatch=waits), scene.worker()
    scene.bead("shop-1", role="qa")
    for _ in range(3):
        _pass(scene, worker, timedelta(days=1))
        assert _went(dispatcher) == []
    scene.worker("qa@host", roles=("qa",))
    assert _went(dispatcher) == [("shop-1", "qa")]


def test_a_role_that_is_busy_is_waited_for_however_long(scene: Any, dispatching: Any) -> None:
    dispatcher = dispatching(dispatch={"role_wait": "0s"})
    scene.worker()
    scene.worker("qa@host", roles=("qa",))
    scene.bead("shop-1", role="qa")
    scene.bead("shop-2", role="qa")
    assert _went(dispatcher) == [("shop-1", "qa")]
    assert _went(dispatcher) == []


def test_priority_decides_between_the_beads_of_a_role_and_those_that_any_agent_may_take(
    scene: Any, dispatching: Any
) -> None:
    dispatcher = dispatching(dispatch={"role_wait": "0s"})
    scene.worker(agents=2)
    scene.bead("shop-1", role="dev", priority=1)
    scene.bead("shop-2", role="qa", priority=0)
    scene.bead("shop-3", role="qa", priority=2)
    assert _went(dispatcher) == [("shop-2", "dev"), ("shop-1", "dev")]


def test_slots_hold_for_a_bead_that_any_agent_may_take(scene: Any, dispatching: Any) -> None:
    dispatcher = dispatching(dispatch={"role_wait": "0s"}, roles={"dev": {"slots": 1}})
    scene.worker(agents=2)
    scene.bead("shop-1", role="qa")
    scene.bead("shop-2", role="qa")
    assert _went(dispatcher) == [("shop-1", "dev")]
    assert scene.read(scene.bead("shop-2", role="qa")).refusal == "The role dev has all its slots in use (slots = 1)."


def test_after_a_failure_it_goes_to_any_agent_again_without_a_new_wait(scene: Any, dispatching: Any) -> None:
    dispatcher, worker = dispatching(), scene.worker()
    key = scene.bead("shop-1", role="qa")
    _pass(scene, worker, WAIT)
    (result,) = dispatcher.dispatch()
    started = scene.start(result.run_id, worker)
    scene.report(started, Failed(cause="tests"))
    scene.settle(started.run.id)
    assert (scene.read(key).failures, _went(dispatcher)) == (1, [])
    cooled = scene.read(key).ready_from
    assert cooled is not None
    assert cooled - scene.clock.at < timedelta(minutes=1)
    _pass(scene, worker, timedelta(minutes=1))
    assert _went(dispatcher) == [("shop-1", "dev")]


def test_a_look_that_finds_nothing_is_not_repeated_in_every_round(
    scene: Any, dispatching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dispatch.store import dispatching as rounds

    looks: list[int] = []
    look = rounds.unserved

    def counted(*given: Any, **named: Any) -> Any:
        looks.append(1)
        return look(*given, **named)

    monkeypatch.setattr(rounds, "unserved", counted)
    dispatcher, worker = dispatching(), scene.worker()
    for _ in range(5):
        dispatcher.dispatch()
    assert len(looks) == 1
    dispatcher.plan()
    dispatcher.dispatch(scene.project.id)
    assert len(looks) == 3, "who asks for a plan or a project gets the whole answer"
    _pass(scene, worker, LOOK_AGAIN)
    dispatcher.dispatch()
    assert len(looks) == 4


def test_a_tick_lets_them_go_too(scene: Any, bus: Any) -> None:
    worker = scene.worker()
    dispatcher = Dispatcher(scene.store, bus, scene.settings)
    tick = Tick(scene.store, dispatcher, bus, scene.settings, sweep=lambda _: None)
    scene.bead("shop-1", role="qa")
    for _ in range(int(WAIT.total_seconds() / 30)):
        assert tick.run().dispatched == 0
        _pass(scene, worker, timedelta(seconds=30))
    assert tick.run().dispatched == 1


def test_a_plan_shows_them(scene: Any, dispatching: Any) -> None:
    dispatcher, worker = dispatching(), scene.worker()
    key = scene.bead("shop-1", role="qa")
    assert dispatcher.plan().placements == ()
    _pass(scene, worker, WAIT)
    (placement,) = dispatcher.plan().placements
    assert (placement.bead, placement.role) == (key, "dev")


# Bugs that nothing sorts


def test_an_unclear_bug_goes_to_qa_where_that_is_served_busy_or_not(scene: Any, dispatching: Any) -> None:
    dispatcher = dispatching()
    scene.worker()
    scene.worker("qa@host", roles=("qa-engineer",))
    scene.bead("shop-1", role=UNCLEAR_BUG)
    scene.bead("shop-2", role=UNCLEAR_BUG)
    (result,) = dispatcher.dispatch()
    assert (result.bead_id, result.role, result.reason) == (
        "shop-1",
        "qa-engineer",
        "qa-engineer sorts such bugs.",
    )
    assert _went(dispatcher) == [], "QA is busy, and is waited for"


def test_without_qa_it_goes_at_once_where_a_bead_without_a_wish_goes(scene: Any, dispatching: Any) -> None:
    dispatcher = dispatching(projects={"shop": {"default_role": "dev"}}, roles={"dev": {}})
    scene.worker("ops@host", roles=("ops",))
    scene.bead("shop-1", role=UNCLEAR_BUG)
    (first,) = dispatcher.dispatch()
    assert (first.role, first.reason) == (
        "ops",
        "Nobody serves QA and nobody serves the project's default, so any agent may take it.",
    )
    scene.worker()
    scene.bead("shop-2", role=UNCLEAR_BUG)
    (second,) = dispatcher.dispatch()
    assert (second.role, second.reason) == ("dev", "Nobody serves QA; dev is the project's default.")


def test_the_role_that_does_qas_work_sorts_bugs(scene: Any, dispatching: Any) -> None:
    dispatcher = dispatching(roles={"tester": {"aliases": ["qa-engineer"]}})
    scene.worker()
    scene.worker("qa@host", roles=("tester",))
    scene.bead("shop-1", role=UNCLEAR_BUG)
    assert _went(dispatcher) == [("shop-1", "tester")]


# Agents and roles agree


def test_the_queue_that_a_bead_goes_to_is_that_of_the_agent_its_wish_means(scene: Any, dispatching: Any) -> None:
    """`find_agent_by_persona_hint` and the dispatcher choose the same agents."""
    from dispatch.routing import PersonaMatcher, known_personas

    configured = {"qa-engineer": {"aliases": ["proof-reader"]}, "senior-backend-engineer": {}, "dev": {}}
    dispatcher = dispatching(roles=configured)
    settings = dispatcher._settings
    for role in configured:
        scene.worker(f"{role}@host", roles=(role,))
    matcher, router = PersonaMatcher(known_personas(settings)), Router(settings)
    agents = scene.store.swarm.agents(idle=True)
    for number, label in enumerate(("role:qa", "for-proof-reader", "role:backend-engineer", "persona:senior-backend")):
        record = scene.record(f"shop-{number}", labels=(label,))
        hint = matcher.extract_persona_hint(record.bead)
        meant = matcher.find_agent_by_persona_hint(hint, agents)
        assert meant is not None
        assert router.route(record.bead).role in meant.roles, label
