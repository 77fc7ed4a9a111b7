"""Binding: a run starts on an agent of the worker that got it, whoever that is (PROTOCOL, rule 8)."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from sqlalchemy import text

from dispatch.models.identity import IncarnationId
from dispatch.models.outcome import Completed
from dispatch.results import judge
from dispatch.store import StartedRun

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]


def _states(scene: Any, worker: IncarnationId) -> list[str]:
    return [agent.state for agent in scene.agents_of(worker)]


def test_a_run_starts_on_the_agent_that_was_reserved_when_its_worker_got_it(scene: Any) -> None:
    worker = scene.worker(agents=3)
    agent = scene.agents_of(worker)[1]
    run_id = scene.claimed(scene.bead(), [agent])
    assert scene.start(run_id, worker).run.agent_id == agent.id
    assert _states(scene, worker) == ["idle", "working", "idle"]


def test_a_run_that_another_worker_got_takes_an_idle_agent_there_and_frees_the_reserved_one(scene: Any) -> None:
    here, there = scene.worker("here@host"), scene.worker("there@host")
    run_id = scene.claimed(scene.bead(), scene.agents_of(here))
    run = scene.start(run_id, there).run
    assert run.agent_id == scene.agents_of(there)[0].id
    assert (run.agent_name, run.incarnation_id) == ("there@host/1", there)
    assert (_states(scene, here), _states(scene, there)) == (["idle"], ["working"])


def test_the_freed_agent_of_a_worker_that_is_gone_is_gone_too(scene: Any) -> None:
    here, there = scene.worker("here@host"), scene.worker("there@host")
    run_id = scene.claimed(scene.bead(), scene.agents_of(here))
    scene.store.swarm.leave(here)
    assert _states(scene, here) == ["reserved"]
    scene.start(run_id, there)
    assert _states(scene, here) == ["gone"]


def test_two_runs_that_got_each_others_worker_swap_their_agents(scene: Any) -> None:
    one, two = scene.worker("one@host"), scene.worker("two@host")
    first = scene.claimed(scene.bead("shop-1"), scene.agents_of(one))
    second = scene.claimed(scene.bead("shop-2"), scene.agents_of(two))
    assert scene.start(first, two).run.agent_id == scene.agents_of(two)[0].id
    waiting = scene.run(second)
    assert waiting.agent_id == scene.agents_of(one)[0].id
    assert (waiting.agent_name, waiting.incarnation_id) == ("one@host/1", one)
    assert (_states(scene, one), _states(scene, two)) == (["reserved"], ["working"])
    assert scene.start(second, one).run.agent_id == scene.agents_of(one)[0].id


def test_a_swap_is_in_the_history(scene: Any) -> None:
    one, two = scene.worker("one@host"), scene.worker("two@host")
    first = scene.claimed(scene.bead("shop-1"), scene.agents_of(one))
    second = scene.claimed(scene.bead("shop-2"), scene.agents_of(two))
    scene.start(first, two)
    (event,) = scene.events("run.rebound")
    assert event.run_id == second
    assert event.data["agent"] == str(scene.agents_of(one)[0].id)
    assert event.data["was"] == str(scene.agents_of(two)[0].id)


def test_a_run_takes_the_agent_of_one_that_has_reported_and_waits_to_be_settled(scene: Any) -> None:
    here, there = scene.worker("here@host"), scene.worker("there@host")
    first = scene.claimed(scene.bead("shop-1"), scene.agents_of(here))
    scene.report(scene.start(first, here), Completed())
    second = scene.claimed(scene.bead("shop-2"), scene.agents_of(there))
    started = scene.start(second, here)
    assert started.run.agent_id == scene.agents_of(here)[0].id
    assert scene.run(first).agent_id is None
    assert scene.run(first).agent_name == "here@host/1", "who did it is not forgotten"
    assert (_states(scene, here), _states(scene, there)) == (["working"], ["idle"])
    (event,) = scene.events("run.rebound")
    assert (event.run_id, event.data["agent"], event.data["was"]) == (first, None, str(started.run.agent_id))
    assert scene.settle(first) is not None
    assert _states(scene, here) == ["working"], "the agent works for the second run now"


def test_two_starts_that_cross_at_the_same_moment_both_succeed(scene: Any, at_once: AtOnce) -> None:
    one, two = scene.worker("one@host"), scene.worker("two@host")
    for number in range(12):
        scene.store.swarm.heartbeat(one)
        first = scene.claimed(scene.bead(f"shop-{number}a"), scene.agents_of(one))
        second = scene.claimed(scene.bead(f"shop-{number}b"), scene.agents_of(two))
        answers = at_once(
            [
                lambda run_id=first: scene.store.running.start(run_id, two),
                lambda run_id=second: scene.store.running.start(run_id, one),
            ]
        )
        assert all(isinstance(answer, StartedRun) for answer in answers), answers
        for started in answers:
            assert scene.report(started, Completed())
            assert scene.settle(started.run.id) is not None


def test_a_start_waits_for_a_settle_that_is_about_to_free_the_only_agent(scene: Any) -> None:
    here, there = scene.worker("here@host"), scene.worker("there@host")
    first = scene.claimed(scene.bead("shop-1"), scene.agents_of(here))
    scene.report(scene.start(first, here), Completed())
    second = scene.claimed(scene.bead("shop-2"), scene.agents_of(there))
    answers: list[Any] = []
    starting = threading.Thread(target=lambda: answers.append(scene.store.running.start(second, here)))

    def decide(joined: Any) -> Any:
        starting.start()
        deadline = time.monotonic() + 20
        while not answers and not scene.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return judge(joined, scene.settings)

    assert scene.store.settling.settle(first, decide) is not None
    starting.join(20)
    assert isinstance(answers[0], StartedRun), answers


def _await_a_wait_for_a_lock(scene: Any, answers: list[Any]) -> None:
    deadline = time.monotonic() + 20
    while not answers and not scene.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_start_waits_for_a_round_that_looks_at_the_agent_which_was_just_freed(scene: Any) -> None:
    here, there = scene.worker("here@host"), scene.worker("there@host")
    first = scene.claimed(scene.bead("shop-1"), scene.agents_of(here))
    scene.report(scene.start(first, here), Completed(nothing_to_do=True))
    second = scene.claimed(scene.bead("shop-2"), scene.agents_of(there))
    answers: list[Any] = []
    starting = threading.Thread(target=lambda: answers.append(scene.store.running.start(second, here)))

    # The start has found no free agent, and waits to see whether the reported run can spare its own.
    with ExitStack() as stack:
        with scene.store.engine.begin() as connection:
            connection.execute(text("SELECT 1 FROM runs WHERE id = :run FOR KEY SHARE"), {"run": first})
            starting.start()
            _await_a_wait_for_a_lock(scene, answers)
            assert scene.settle(first) is not None
            round_ = stack.enter_context(scene.store.dispatching.round())
            assert [agent.name for agent in round_.supply().agents] == ["here@host/1"]
        _await_a_wait_for_a_lock(scene, answers)
    starting.join(20)
    assert isinstance(answers[0], StartedRun), answers


def test_many_runs_that_any_worker_got_all_start_with_an_agent_each(scene: Any, at_once: AtOnce) -> None:
    workers = [scene.worker(f"w{number}@host", agents=2) for number in range(4)]
    agents = [agent for worker in workers for agent in scene.agents_of(worker)]
    runs = [scene.claimed(scene.bead(f"shop-{n}"), [agent]) for n, agent in enumerate(agents)]
    places = [worker for worker in reversed(workers) for _ in range(2)]
    answers = at_once([lambda pair=pair: scene.store.running.start(*pair) for pair in zip(runs, places, strict=True)])
    assert all(isinstance(answer, StartedRun) for answer in answers), answers
    assert len({answer.run.agent_id for answer in answers}) == 8
    assert [_states(scene, worker) for worker in workers] == [["working"] * 2] * 4
