"""Settling: each result once, each outcome its own end, and nothing that somebody did meanwhile is undone."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.bead import Dependency
from dispatch.models.identity import BeadId, BeadKey, RunId, uuid7
from dispatch.models.landing import Landed
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, NeedsInput, Outcome, TimedOut
from dispatch.models.settling import BeadEffect, Escalation, JoinedStep
from dispatch.models.states import BeadEvent, BeadStatus, RunState
from dispatch.results import judge_landing

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]
SHA = "c" * 40


def test_the_same_result_three_times_settles_once(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.report(started, Completed(nothing_to_do=True))
    answers = [scene.settle(started.run.id) for _ in range(3)]
    assert [answer is not None for answer in answers] == [True, False, False]
    assert scene.read(key).hops == 1
    assert len(scene.events("run.settled")) == len(scene.events("bead.closed")) == 1


def test_the_same_result_many_times_at_once_settles_once(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.report(started, Failed(cause="tests"))
    answers = at_once([lambda: scene.settle(started.run.id)] * 8)
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert sum(answer is not None for answer in answers) == 1
    assert (scene.read(key).hops, scene.read(key).failures) == (1, 1)
    assert len(scene.store.reading.errors(key)) == 1


def test_what_is_not_reported_or_not_known_is_not_settled(scene: Any) -> None:
    worker = scene.worker()
    run_id = scene.claimed(scene.bead())
    assert scene.settle(run_id) is None
    scene.start(run_id, worker)
    assert scene.settle(run_id) is None
    assert scene.settle(RunId(uuid7())) is None


@pytest.mark.parametrize(
    ("outcome", "commit", "expected"),
    [
        (Completed(), SHA, {"status": "landing", "hops": 1, "failures": 2, "head_sha": SHA}),
        (Completed(nothing_to_do=True), None, {"status": "closed", "hops": 1, "failures": 0, "head_sha": None}),
        (Failed(cause="tests"), SHA, {"status": "open", "hops": 1, "failures": 3, "head_sha": SHA, "errors": 1}),
        (TimedOut(limit_seconds=60), SHA, {"status": "open", "hops": 1, "failures": 3, "head_sha": SHA, "errors": 1}),
        (Looped(reason="again"), None, {"status": "open", "hops": 1, "failures": 3, "head_sha": None, "errors": 1}),
        (NeedsInput(question="Which?"), SHA, {"status": "open", "hops": 0, "failures": 2, "head_sha": SHA}),
        (Cancelled(cause="handback"), SHA, {"status": "open", "hops": 0, "failures": 2, "head_sha": SHA}),
        (Lost(), None, {"status": "open", "hops": 0, "failures": 2, "head_sha": None}),
    ],
)
def test_each_outcome_leaves_its_bead_as_it_should(
    scene: Any, outcome: Outcome, commit: str | None, expected: dict[str, Any]
) -> None:
    worker = scene.worker()
    key = scene.bead()
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("UPDATE beads SET failures = 2"))
    settled = scene.work(key, worker, outcome, commit)
    bead = scene.read(key)
    errors = scene.store.reading.errors(key)
    assert {"status": bead.status, "hops": bead.hops, "failures": bead.failures, "head_sha": bead.head_sha} == {
        name: value for name, value in expected.items() if name != "errors"
    }
    assert len(errors) == expected.get("errors", 0)
    cools = expected["failures"] == 3
    assert bead.ready_from == (scene.clock.at + timedelta(seconds=40) if cools else None)
    assert bead.blocked is isinstance(outcome, NeedsInput), "who asks waits for the answer"
    assert settled.effect is not None
    assert scene.run(settled.run.id).state is RunState.SETTLED
    assert scene.agents_of(worker)[0].state == "idle"
    assert scene.agents_of(worker)[0].last_used_at == scene.clock.at
    assert scene.value("SELECT state FROM steps") == "joined"


def test_a_closed_bead_carries_what_the_tracker_is_told(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(nothing_to_do=True, summary="It was so already."))
    bead = scene.read(key)
    assert (bead.closed_at, bead.close_reason) == (scene.clock.at, "It was so already.")
    (document,) = scene.store.imports.documents(key.project_id)
    assert document.changes == {
        "status": "closed",
        "closed_at": "2026-09-25T12:00:00Z",
        "close_reason": "It was so already.",
        "updated_at": "2026-09-25T12:00:00Z",
    }


def test_failures_make_the_bead_wait_longer_and_longer_and_then_ask_a_human(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead(role="dev")
    waits = []
    for _ in range(5):
        scene.store.swarm.heartbeat(worker)
        scene.work(key, worker, Failed(cause="tests", summary="Still red."))
        waited = scene.read(key).ready_from - scene.clock.at
        waits.append(waited.total_seconds())
        scene.clock.advance(waited)
    assert waits == [10, 20, 40, 80, 160]
    bead = scene.read(key)
    assert (bead.status, bead.blocked, bead.failures, bead.hops) == ("open", True, 0, 5)
    (blocker,) = scene.store.reading.blockers(key)
    decision = scene.read(BeadKey(key.project_id, blocker.id))
    assert (decision.issue_type, decision.priority) == ("decision", 0)
    assert set(decision.labels) == {"ceo-review", "escalation", "human"}
    assert "Still red." in decision.description
    told = {"escalates": "shop-1", "kind": "failed", "reason": "5 runs in a row failed", "returned_to": "dev"}
    assert decision.metadata == told
    assert [error.dispatch for error in scene.store.reading.errors(key)] == [1, 2, 3, 4, 5]
    assert scene.claim(key) is None
    assert scene.store.edits.close(decision.key, "Try the other way.") == (key.bead_id,)
    assert not scene.read(key).blocked


def test_a_success_ends_the_row_of_failures(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    scene.clock.advance(timedelta(seconds=10))
    scene.store.swarm.heartbeat(worker)
    scene.work(key, worker, Completed(nothing_to_do=True))
    assert (scene.read(key).failures, scene.read(key).hops) == (0, 2)


def test_a_landing_ends_the_row_of_failures_and_no_sooner(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    scene.clock.advance(timedelta(seconds=10))
    scene.store.swarm.heartbeat(worker)
    scene.work(key, worker, Completed(), SHA)
    assert scene.read(key).failures == 1
    effect = judge_landing(scene.read(key), Landed(sha="d" * 40, previous_sha="a" * 40), scene.settings)
    scene.store.settling.finish_landing(key, effect)
    bead = scene.read(key)
    assert (bead.status, bead.failures, bead.hops, bead.head_sha) == ("closed", 0, 2, "d" * 40)


# Meanwhile


def test_a_bead_that_was_closed_by_hand_meanwhile_stays_closed(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.store.edits.close(key, "Not wanted.")
    scene.report(started, Cancelled(cause="closed by hand"))
    settled = scene.settle(started.run.id)
    assert settled is not None
    bead = scene.read(key)
    assert (bead.status, bead.close_reason) == (BeadStatus.CLOSED, "Not wanted.")
    assert scene.kinds(key)[-1] == "bead.kept"
    assert scene.agents_of(worker)[0].state == "idle"
    assert scene.value("SELECT state FROM steps") == "joined"


def test_a_question_about_a_bead_that_was_closed_by_hand_opens_no_decision(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.store.edits.close(key, "Not wanted.")
    scene.report(started, NeedsInput(question="Which?"))
    scene.settle(started.run.id)
    assert scene.store.imports.ids(key.project_id) == ["shop-1"]


def test_work_that_landed_while_its_bead_was_closed_by_hand_changes_nothing_more(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(), SHA)
    landing = scene.read(key)
    scene.store.edits.close(key, "Good enough.")
    effect = judge_landing(landing, Landed(sha=SHA, previous_sha="a" * 40), scene.settings)
    assert scene.store.settling.finish_landing(key, effect) == ()
    assert scene.read(key).close_reason == "Good enough."


def test_a_closing_releases_what_waited_for_it_and_not_itself(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead("shop-1")
    scene.bead("shop-2", waits_for=("shop-1",))
    scene.bead("shop-3", waits_for=("shop-1", "shop-4"))
    started = scene.start(scene.claimed(key), worker)
    scene.bead("shop-4")
    later = scene.clock.at + timedelta(seconds=1)
    scene.bead("shop-1", waits_for=("shop-4",), title="It waits now, too", updated_at=later)
    assert scene.read(key).blocked
    scene.report(started, Completed(nothing_to_do=True))
    settled = scene.settle(started.run.id)
    assert settled.released == ("shop-2",)
    assert not scene.read(key).blocked, "what is closed waits for nothing"


def test_two_blockers_that_close_at_the_same_moment_release_the_bead(scene: Any, at_once: AtOnce) -> None:
    worker = scene.worker(agents=2)
    for number in range(6):
        scene.store.swarm.heartbeat(worker)
        pair = [scene.bead(f"shop-{number}a"), scene.bead(f"shop-{number}b")]
        waiting = scene.bead(f"shop-{number}c", waits_for=[key.bead_id for key in pair])
        runs = []
        for key in pair:
            started = scene.start(scene.claimed(key), worker)
            scene.report(started, Completed(nothing_to_do=True))
            runs.append(started.run.id)
        assert scene.read(waiting).blocked
        answers = at_once([lambda run_id=run_id: scene.settle(run_id) for run_id in runs])
        assert sorted(len(answer.released) for answer in answers) == [0, 1]
        assert not scene.read(waiting).blocked


def test_a_decision_that_is_open_is_updated_and_not_doubled(scene: Any) -> None:
    key = scene.bead()
    first = scene.store.settling.escalate(key, Escalation(reason="one", title="First", body="Why?"))
    second = scene.store.settling.escalate(key, Escalation(reason="two", title="Second", body="And why?"))
    assert (first.created, second.created) == (True, False)
    assert first.decision_id == second.decision_id
    assert scene.read(BeadKey(key.project_id, first.decision_id)).title == "Second"
    scene.store.edits.close(BeadKey(key.project_id, first.decision_id), "Go on.")
    third = scene.store.settling.escalate(key, Escalation(reason="three", title="Third", body="Again."))
    assert third.created
    assert third.decision_id != first.decision_id


def test_a_settle_that_breaks_half_way_leaves_nothing_of_itself(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.report(started, Completed())

    def decide(joined: JoinedStep) -> BeadEffect:
        raise ArithmeticError("it does not add up")

    with pytest.raises(ArithmeticError):
        scene.store.settling.settle(started.run.id, decide)
    assert scene.run(started.run.id).state is RunState.REPORTED
    assert scene.agents_of(worker)[0].state == "working"
    assert scene.events("run.settled") == []


def test_a_failed_settle_is_counted_on_a_run_that_waits_for_one_and_on_no_other(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    assert scene.store.settling.note_failed_settle(started.run.id, "too soon", max_failures=5) == 0
    assert scene.events("run.settle_failed") == []
    scene.report(started, Completed(nothing_to_do=True))
    assert scene.store.settling.note_failed_settle(started.run.id, "broken", max_failures=5) == 1
    assert scene.store.settling.note_failed_settle(started.run.id, "broken", max_failures=5) == 2
    assert [event.data["failures"] for event in scene.events("run.settle_failed")] == [1, 2]


def test_a_run_that_cannot_be_settled_gives_its_agent_back_and_waits_for_the_decision(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.report(started, Completed(nothing_to_do=True))
    settling = scene.store.settling

    def stale() -> list[RunId]:
        return list(settling.stale_reports(timedelta(seconds=5), max_failures=2))

    scene.clock.advance(timedelta(seconds=5))
    assert stale() == [started.run.id]
    settling.note_failed_settle(started.run.id, "broken", max_failures=2)
    assert scene.agents_of(worker)[0].state == "working"
    settling.note_failed_settle(started.run.id, "broken", max_failures=2)
    decision = settling.escalate(key, Escalation(reason="broken", title="Mend", body="It cannot be settled."))
    assert scene.agents_of(worker)[0].state == "idle"
    scene.clock.advance(timedelta(hours=1))
    assert stale() == []
    scene.store.edits.close(BeadKey(key.project_id, decision.decision_id), "Mended.")
    assert stale() == [started.run.id]
    assert scene.settle(started.run.id) is not None
    assert scene.read(key).status == BeadStatus.CLOSED
    assert stale() == []


def test_a_run_that_still_cannot_be_settled_is_tried_less_and_less_often(scene: Any) -> None:
    worker = scene.worker()
    started = scene.start(scene.claimed(scene.bead()), worker)
    scene.report(started, Completed())
    waits = []
    for _ in range(4):
        scene.store.settling.note_failed_settle(started.run.id, "broken", max_failures=1)
        while not scene.store.settling.stale_reports(timedelta(seconds=5), max_failures=1):
            scene.clock.advance(timedelta(seconds=5))
        waits.append((scene.clock.at - scene.run(started.run.id).reported_at).total_seconds())
    assert waits == [10, 20, 40, 80]


def test_a_pending_task_is_the_view_of_an_open_run(scene: Any) -> None:
    worker = scene.worker(agents=2)
    run_id = scene.claimed(scene.bead())
    (pending,) = scene.store.settling.pending_tasks()
    assert (pending.correlation_id, pending.bead_id, pending.role) == (run_id, "shop-1", "dev")
    assert pending.dispatched_at == pending.last_update == scene.clock.at
    scene.clock.advance(timedelta(seconds=5))
    started = scene.start(run_id, worker)
    (pending,) = scene.store.settling.pending_tasks()
    assert pending.last_update == scene.clock.at
    assert scene.store.settling.pending_count() == 1
    scene.report(started, Completed())
    scene.settle(run_id)
    assert scene.store.settling.pending_tasks() == []
    assert scene.store.settling.pending_count() == 0


def test_a_settle_waits_for_a_hand_that_is_closing_the_same_bead(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.report(started, Failed(cause="tests"))
    answers: list[Any] = []
    settling = threading.Thread(target=lambda: answers.append(scene.settle(started.run.id)))
    with scene.store.units.begin() as tx:
        tx.lock_project(key.project_id)
        settling.start()
        tx.connection.execute(text("UPDATE beads SET status = 'closed'"))
    settling.join(20)
    assert answers[0].effect.event is BeadEvent.RETURN
    assert scene.read(key).status == BeadStatus.CLOSED


def test_an_edge_of_ours_holds_the_decision(scene: Any) -> None:
    key = scene.bead()
    decision = scene.store.settling.escalate(key, Escalation(reason="r", title="T", body="B"))
    assert scene.store.reading.dependencies(key) == [
        Dependency(issue_id=BeadId("shop-1"), depends_on_id=decision.decision_id, type="blocks")
    ]
    documents = {document.id: document for document in scene.store.imports.documents(key.project_id)}
    assert documents[key.bead_id].added_edges[0]["depends_on_id"] == decision.decision_id
