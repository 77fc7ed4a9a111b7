"""A bead waits for a human: one decision that is open, with all that helps to decide."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatch.escalation import asked, worn_out
from dispatch.models.decision import EscalationKind, Option, Ruling
from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Failed, NeedsInput
from dispatch.models.progress import CommitRange
from dispatch.models.run import ErrorRecord
from dispatch.models.settling import Escalation
from dispatch.models.states import RunState

PLAIN = Escalation(reason="r", title="T", body="B")


def _escalate(scene: Any, key: BeadKey, escalation: Escalation = PLAIN) -> Any:
    return scene.store.settling.escalate(key, escalation)


def _errors(scene: Any, *texts: str) -> tuple[ErrorRecord, ...]:
    return tuple(ErrorRecord(timestamp=scene.clock.at, error=text, dispatch=n) for n, text in enumerate(texts, 1))


def test_a_decision_keeps_all_that_helps_to_decide(scene: Any) -> None:
    key = scene.bead(role="dev")
    errors = _errors(scene, *(f"failed: {number}" for number in range(8)))
    escalation = replace(
        worn_out(scene.read(key), 5, "failed: 7"),
        progress="Files read: 3.",
        suggestions=("Name the files.",),
        commits=CommitRange("a1", "b2", 2),
        errors=errors,
    )
    made = _escalate(scene, key, escalation)
    found = scene.store.decisions.find(made.decision_id)
    assert replace(found, created=True) == made
    assert (found.bead_key, found.kind, found.returned_to) == (key, EscalationKind.FAILED, "dev")
    assert (found.progress, found.suggestions) == ("Files read: 3.", ("Name the files.",))
    assert found.commits == CommitRange("a1", "b2", 2)
    assert found.errors == errors[-5:], "the newest few"
    assert Option.RETRY in found.offer.options
    assert (found.opened_at, found.ruled_at, found.ruling) == (scene.clock.at, None, None)


def test_the_text_of_its_bead_has_it_too(scene: Any) -> None:
    key = scene.bead()
    made = _escalate(scene, key, replace(PLAIN, progress="Files read: 3.", suggestions=("Name the files.",)))
    text = scene.read(made.key).description
    for part in ("B\n", "Files read: 3.", "- Name the files.", f"`dispatch decide shop/{made.decision_id} retry"):
        assert part in text
    assert scene.kinds(key) == ["bead.escalated"]
    (event,) = scene.events("bead.escalated")
    assert event.data["recommended"] == "retry"
    assert event.data["decision"] == made.decision_id


def test_the_question_of_an_agent_is_kept(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead(role="dev")
    scene.work(key, worker, NeedsInput(question="Red or blue?"))
    found = scene.store.decisions.find(key.bead_id)
    assert (found.kind, found.question, found.offer.recommended) == (
        EscalationKind.QUESTION,
        "Red or blue?",
        Option.ANSWER,
    )


def test_an_open_one_is_brought_up_to_date_and_keeps_its_age(scene: Any) -> None:
    key = scene.bead()
    first = _escalate(scene, key)
    scene.clock.advance(timedelta(hours=1))
    second = _escalate(scene, key, asked(scene.read(key), "Red?"))
    assert (first.created, second.created) == (True, False)
    assert (second.decision_id, second.opened_at) == (first.decision_id, first.opened_at)
    assert (second.kind, second.question) == (EscalationKind.QUESTION, "Red?")
    decision = scene.read(first.key)
    assert decision.title == "Answer shop-1: Red?"
    (document,) = [one for one in scene.store.imports.documents(key.project_id) if one.id == first.decision_id]
    written = json.loads(document.text)
    assert (written["created_at"], written["updated_at"]) == ("2026-09-25T12:00:00Z", "2026-09-25T13:00:00Z")
    assert len(scene.store.reading.blockers(key)) == 1


def test_what_the_tracker_added_to_an_open_one_stays(scene: Any) -> None:
    key = scene.bead()
    made = _escalate(scene, key)
    (document,) = [one for one in scene.store.imports.documents(key.project_id) if one.id == made.decision_id]
    text = document.text.replace('"labels"', '"comments": [{"id": "1", "text": "Hm."}], "labels"')
    record = scene.record(
        made.decision_id, text=text, issue_type="decision", labels=("human",), updated_at=scene.clock.at
    )
    scene.store.imports.import_records(key.project_id, [record])
    _escalate(scene, key, replace(PLAIN, body="New"))
    (document,) = [one for one in scene.store.imports.documents(key.project_id) if one.id == made.decision_id]
    assert '"comments"' in document.text
    assert "New" in document.text


@pytest.mark.parametrize("status", ["deferred", "in_progress", "blocked"])
def test_one_that_a_tracker_works_on_is_still_the_one(scene: Any, status: str) -> None:
    key = scene.bead()
    made = _escalate(scene, key)
    record = scene.record(made.decision_id, status=status, issue_type="decision", updated_at=scene.clock.at)
    scene.store.imports.import_records(key.project_id, [record])
    again = _escalate(scene, key)
    assert (again.decision_id, again.created) == (made.decision_id, False)


def test_escalations_at_once_make_one(scene: Any, at_once: Any) -> None:
    keys = [scene.bead(f"shop-{number}") for number in range(4)]
    for key in keys:
        made = at_once([lambda key=key: _escalate(scene, key)] * 12)
        assert not [one for one in made if isinstance(one, Exception)]
        assert len({one.decision_id for one in made}) == 1
        assert sorted(one.created for one in made) == [False] * 11 + [True]
        assert len(scene.store.reading.blockers(key)) == 1
    assert scene.value("SELECT count(*) FROM decisions") == 4
    assert scene.value("SELECT count(*) FROM beads WHERE issue_type = 'decision'") == 4


def test_the_database_itself_holds_a_second_one_off(scene: Any) -> None:
    key = scene.bead()
    _escalate(scene, key)
    other = scene.bead("shop-2")
    second = _escalate(scene, other)
    with pytest.raises(Exception, match="decisions_one_open"):
        scene.value(
            "UPDATE decisions SET bead_id = 'shop-1' WHERE id = :id RETURNING id",
            id=second.decision_id,
        )


def test_what_was_decided_before_tells_what_to_recommend(scene: Any) -> None:
    key = scene.bead()
    first = _escalate(scene, key)
    assert first.offer.recommended is Option.RETRY
    scene.store.decisions.decide(first.key, Ruling(option=Option.RETRY, by="ann", advice="Look."))
    assert _escalate(scene, key).offer.recommended is Option.REASSIGN


# What reaches the next run


def _started(scene: Any, key: BeadKey, worker: Any) -> Any:
    scene.store.swarm.heartbeat(worker)
    return scene.start(scene.claimed(key), worker)


def test_a_run_is_told_what_was_said_the_newest_last(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    said = []
    for number in range(12):
        made = _escalate(scene, key, asked(scene.read(key), f"Which, {number}?"))
        advice = f"The {number}. one."
        scene.store.decisions.decide(made.key, Ruling(option=Option.ANSWER, by="ann", advice=advice))
        said.append((f"Which, {number}?", advice, scene.clock.at))
        scene.clock.advance(timedelta(minutes=1))
    advice = _started(scene, key, worker).advice
    assert [(one.asked, one.advice, one.at) for one in advice] == said[-10:]
    assert {one.by for one in advice} == {"ann"}


def test_what_was_decided_without_a_word_tells_nothing(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.store.decisions.decide(_escalate(scene, key).key, Ruling(option=Option.RETRY, by="ann"))
    scene.clock.advance(timedelta(seconds=1))
    scene.store.edits.close(_escalate(scene, key).key, "Use v2.", by="bob")
    (advice,) = _started(scene, key, worker).advice
    assert (advice.by, advice.asked, advice.advice) == ("bob", "r", "Use v2.")


def test_endless_advice_is_cut(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.store.edits.close(_escalate(scene, key).key, "x" * 100_000)
    (advice,) = _started(scene, key, worker).advice
    assert len(advice.advice) == 10_000


def test_a_bead_that_nobody_advised_costs_no_question(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    scene.clock.advance(timedelta(minutes=1))
    monkeypatch.setattr("dispatch.store.asking.advice_for", lambda *_: pytest.fail("it was asked for"))
    started = _started(scene, key, worker)
    assert (started.run.attempt, started.advice) == (2, ())
    assert scene.run(started.run.id).state is RunState.RUNNING
