"""Start, renew, report: who may, on which agent, and what is refused."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from dispatch.models.identity import IncarnationId, RunId, uuid7
from dispatch.models.messages import ResultMessage
from dispatch.models.outcome import Completed, Failed, Lost
from dispatch.models.run import ActionRecord
from dispatch.models.states import AgentState, RunState, StopReason
from dispatch.store import StartedRun, beads, transaction

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]
LEASE = timedelta(seconds=45)


def _states(scene: Any, worker: IncarnationId) -> list[str]:
    return [agent.state for agent in scene.agents_of(worker)]


# Start


def test_a_start_gives_the_token_the_deadline_and_the_lease(scene: Any) -> None:
    worker = scene.worker()
    run_id = scene.claimed(scene.bead())
    scene.clock.advance(timedelta(seconds=3))
    started = scene.start(run_id, worker)
    run = scene.run(run_id)
    assert run.state is RunState.RUNNING
    assert run.token == started.token
    assert run.started_at == scene.clock.at
    assert run.deadline_at == scene.clock.at + timedelta(minutes=30), "counted from the start, not the claim"
    assert run.lease_until == scene.clock.at + LEASE
    assert _states(scene, worker) == [AgentState.WORKING]


def test_a_start_brings_what_the_worker_needs_to_begin(scene: Any) -> None:
    worker = scene.worker()
    scene.bead("shop-0", status="closed", close_reason="Built.")
    key = scene.bead("shop-1", waits_for=("shop-0",), description="Sell it.")
    first = scene.work(key, worker, Failed(cause="tests")).run
    scene.clock.advance(timedelta(seconds=30))
    scene.store.swarm.heartbeat(worker)
    started = scene.start(scene.claimed(key), worker)
    assert started.bead.id == "shop-1"
    assert started.project.id == "shop"
    assert [bead.id for bead in started.dependencies] == ["shop-0"]
    assert [error.error for error in started.errors] == ["failed: tests"]
    assert started.previous is not None
    assert started.previous.id == first.id
    assert started.run.attempt == 2


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Given a list of the written-out statements that are run from now on."""
    statements: list[str] = []
    run = transaction.run

    def noted(connection: Any, statement: str, parameters: Any) -> Any:
        statements.append(statement)
        return run(connection, statement, parameters)

    monkeypatch.setattr(transaction, "run", noted)
    return statements


def test_a_first_attempt_with_nothing_else_to_read_starts_in_one_statement(scene: Any, given: list[str]) -> None:
    worker = scene.worker(agents=2)
    key = scene.bead("shop-1", description="Sell it.")
    run_id = scene.claimed(key)
    given.clear()
    started = scene.start(run_id, worker)
    assert len(given) == 1
    assert (started.run, started.bead) == (scene.run(run_id), scene.store.reading.bead(key))
    assert (started.document["description"], started.project) == ("Sell it.", scene.store.projects.get(key.project_id))
    assert (started.errors, started.dependencies, started.previous, started.advice) == ((), (), None, ())


def test_what_else_there_is_to_read_is_read_before_the_start(
    scene: Any, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = scene.worker()
    scene.bead("shop-0", status="closed")
    run_id = scene.claimed(scene.bead("shop-1", waits_for=("shop-0",)))

    def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(beads, "targets_of", fail)
        with pytest.raises(ConnectionError):
            scene.start(run_id, worker)
    assert scene.run(run_id).state is RunState.PENDING
    given.clear()
    assert [bead.id for bead in scene.start(run_id, worker).dependencies] == ["shop-0"]
    assert len(given) == 3, "not at once, then what is to be read, then the start; and the dependencies"


def _unknown(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    return RunId(uuid7()), worker


def _started_already(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    scene.start(run_id, worker)
    return run_id, worker


def _reported_already(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    scene.report(scene.start(run_id, worker), Completed())
    return run_id, worker


def _withdrawn(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    scene.store.edits.close(scene.run(run_id).bead_key, "")
    return run_id, worker


def _on_an_unknown_worker(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    return run_id, IncarnationId(uuid7())


def _on_a_stopping_worker(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    scene.store.swarm.stop_taking(worker)
    return run_id, worker


def _on_a_worker_that_left(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    scene.store.swarm.leave(worker)
    return run_id, worker


def _on_a_worker_not_heard_of(scene: Any, worker: IncarnationId, run_id: RunId) -> tuple[RunId, IncarnationId]:
    scene.clock.advance(LEASE)
    return run_id, worker


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (_unknown, "it is unknown"),
        (_started_already, "it is running"),
        (_reported_already, "it is reported"),
        (_withdrawn, "it is withdrawn"),
        (_on_an_unknown_worker, "its worker is stopping, or is not registered"),
        (_on_a_stopping_worker, "its worker is stopping, or is not registered"),
        (_on_a_worker_that_left, "its worker is stopping, or is not registered"),
        (_on_a_worker_not_heard_of, "its worker is stopping, or is not registered"),
    ],
)
def test_a_start_that_may_not_be_is_refused_and_changes_nothing(scene: Any, situation: Any, reason: str) -> None:
    worker = scene.worker(agents=2)
    run_id = scene.claimed(scene.bead())
    asked, on = situation(scene, worker, run_id)
    before = scene.run(run_id), scene.agents_of(worker)
    assert scene.store.running.start(asked, on) == reason
    assert (scene.run(run_id), scene.agents_of(worker)) == before
    (event,) = scene.events("run.start_refused")
    assert (event.run_id, event.data["reason"]) == (asked, reason)


@pytest.mark.parametrize("change", ["UPDATE steps SET state = 'joined'", "UPDATE runs SET stop_reason = 'cancel'"])
def test_a_run_whose_step_is_closed_or_that_was_asked_to_stop_is_not_started(scene: Any, change: str) -> None:
    worker = scene.worker()
    run_id = scene.claimed(scene.bead())
    with scene.store.units.begin() as tx:
        tx.connection.execute(text(change))
    expected = "its step is closed" if "steps" in change else "it was asked to stop (cancel)"
    assert scene.store.running.start(run_id, worker) == expected
    assert scene.run(run_id).state is RunState.PENDING


def test_a_worker_whose_agents_all_work_is_refused(scene: Any) -> None:
    full, other = scene.worker("full@host"), scene.worker("other@host")
    first = scene.claimed(scene.bead("shop-1"), scene.agents_of(full))
    scene.start(first, full)
    second = scene.claimed(scene.bead("shop-2"), scene.agents_of(other))
    assert scene.store.running.start(second, full) == "the worker has no free agent"
    assert scene.run(second).state is RunState.PENDING
    assert _states(scene, other) == [AgentState.RESERVED]


def test_of_many_starts_of_one_run_exactly_one_wins(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker(agents=8)
    run_id = scene.claimed(scene.bead())
    answers = at_once([lambda: scene.store.running.start(run_id, worker)] * 12)
    assert [answer for answer in answers if not isinstance(answer, StartedRun)] == ["it is running"] * 11
    assert _states(scene, worker).count(AgentState.WORKING) == 1


# Renew


def test_a_renewal_lengthens_the_lease_and_brings_the_wish_to_stop(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.clock.advance(timedelta(seconds=10))
    assert scene.store.running.renew(started.run.id, started.token).stop_reason is None
    assert scene.run(started.run.id).lease_until == scene.clock.at + LEASE
    scene.store.edits.close(key, "")
    assert scene.store.running.renew(started.run.id, started.token).stop_reason is StopReason.CLOSED_BY_HAND


def test_a_renewal_with_another_token_or_after_the_report_changes_nothing(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    assert scene.store.running.renew(started.run.id, uuid4()) is None
    scene.report(started, Completed())
    before = scene.run(started.run.id)
    scene.clock.advance(timedelta(seconds=10))
    assert scene.store.running.renew(started.run.id, started.token) is None
    assert scene.run(started.run.id) == before


def test_a_hurried_run_has_a_shorter_lease_until_its_worker_is_heard_of(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    scene.store.running.hurry([started.run.id, RunId(uuid7())], timedelta(seconds=15))
    assert scene.run(started.run.id).lease_until == scene.clock.at + timedelta(seconds=15)
    scene.store.running.hurry([started.run.id], timedelta(seconds=40))
    assert scene.run(started.run.id).lease_until == scene.clock.at + timedelta(seconds=15), "never longer"
    scene.store.running.renew(started.run.id, started.token)
    assert scene.run(started.run.id).lease_until == scene.clock.at + LEASE


def test_hurrying_a_run_that_does_not_run_changes_nothing(scene: Any) -> None:
    scene.worker()
    run_id = scene.claimed(scene.bead())
    before = scene.run(run_id)
    scene.store.running.hurry([run_id], timedelta(seconds=15))
    assert scene.run(run_id) == before


# Report


def test_a_report_writes_outcome_and_commit_and_ends_the_token(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    assert scene.report(started, Completed(summary="Done."), "c" * 40)
    run = scene.run(started.run.id)
    assert (run.state, run.outcome, run.commit_sha) == (RunState.REPORTED, Completed(summary="Done."), "c" * 40)
    assert run.reported_at == scene.clock.at
    assert run.token is None
    assert _states(scene, worker) == ["working"], "the agent is freed when the run is settled"


@pytest.mark.parametrize("token", ["another", "none"])
def test_a_report_without_the_token_is_refused_and_in_the_history(scene: Any, token: str) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    message = ResultMessage(
        run_id=started.run.id, token=uuid4() if token == "another" else None, outcome=Failed(cause="stale")
    )
    before = scene.run(started.run.id)
    assert scene.store.running.report(message) is False
    assert scene.run(started.run.id) == before
    (event,) = scene.events("run.report_refused")
    assert (event.run_id, event.data["outcome"]) == (started.run.id, "failed")


def test_of_two_reports_the_first_counts(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    assert scene.report(started, Completed())
    assert not scene.report(started, Failed(cause="second thoughts"))
    assert scene.run(started.run.id).outcome == Completed()


def test_of_many_reports_at_once_one_counts(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    answers = at_once([lambda n=n: scene.report(started, Failed(cause=str(n))) for n in range(8)])
    assert sorted(answers) == [False] * 7 + [True]
    assert len(scene.events("run.reported")) == 1


def test_a_report_that_comes_after_the_lease_ended_is_refused(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    scene.clock.advance(LEASE)
    assert scene.store.rescue.expire_leases() == [started.run.id]
    assert not scene.report(started, Completed())
    assert isinstance(scene.run(started.run.id).outcome, Lost)


def test_a_report_for_a_run_that_nobody_knows_is_refused(scene: Any) -> None:
    message = ResultMessage(run_id=uuid4(), token=uuid4(), outcome=Completed())
    assert scene.store.running.report(message) is False


# What is noted beside


def test_a_report_says_that_no_process_is_left_to_end_and_an_ended_lease_does_not(scene: Any) -> None:
    worker = scene.worker(agents=2)
    process = {"base_sha": None, "host": "here", "boot_id": "b", "process_group": 7, "started": 1.5}
    done, lost = (scene.start(scene.claimed(scene.bead(f"shop-{number}")), worker) for number in (1, 2))
    for started in (done, lost):
        scene.store.running.note_process(started.run.id, started.token, **process)
    assert scene.report(done, Completed(nothing_to_do=True))
    scene.clock.advance(LEASE)
    scene.store.rescue.expire_leases()
    assert (scene.run(done.run.id).process_group, scene.run(done.run.id).process_started) == (7, None)
    assert (scene.run(lost.run.id).process_group, scene.run(lost.run.id).process_started) == (7, 1.5)


def test_a_report_tells_where_the_agent_ran_when_nothing_was_noted_before(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    message = ResultMessage(run_id=started.run.id, token=started.token, outcome=Completed(nothing_to_do=True))
    assert scene.store.running.report(message, host="here", boot_id="b", process_group=7)
    run = scene.run(started.run.id)
    assert (run.host, run.boot_id, run.process_group, run.process_started) == ("here", "b", 7, None)


def test_base_and_process_are_noted_by_who_holds_the_token_only(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    process = {"base_sha": "b" * 40, "host": "here", "boot_id": "b", "process_group": 7, "started": 1.5}
    scene.store.running.note_process(started.run.id, uuid4(), **process)
    assert (scene.run(started.run.id).base_sha, scene.run(started.run.id).host) == (None, None)
    scene.store.running.note_process(started.run.id, started.token, **process)
    run = scene.run(started.run.id)
    assert (run.base_sha, run.host, run.boot_id, run.process_group, run.process_started) == (
        "b" * 40,
        "here",
        "b",
        7,
        1.5,
    )


def test_actions_are_kept_in_order_and_the_last_ones_are_given_back(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    actions = [
        ActionRecord(
            timestamp=scene.clock.at,
            action_type="read",
            action_data={"path": str(number)},
            result_hash="h",
            progress_key=f"read {number}",
            agent_id=started.run.agent_id,
        )
        for number in range(5)
    ]
    scene.store.running.record_actions(started.run.id, actions)
    scene.store.running.record_actions(started.run.id, [])
    assert scene.store.reading.actions(started.run.id) == actions
    assert scene.store.reading.actions(started.run.id, limit=2) == actions[-2:]


def test_each_step_of_a_run_is_one_event_with_its_agent(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    run = scene.work(key, worker, Completed(nothing_to_do=True)).run
    events = [event for event in scene.events() if event.run_id == run.id and event.kind.startswith("run.")]
    assert [event.kind for event in events] == ["run.claimed", "run.started", "run.reported", "run.settled"]
    assert {event.data["agent"] for event in events} == {str(run.agent_id)}
    assert scene.kinds(key)[-1] == "bead.closed"
