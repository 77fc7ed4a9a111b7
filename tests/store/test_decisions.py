"""What a human decides is applied in one transaction, once."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dispatch.errors import RefusedError
from dispatch.escalation import asked, ping_pong
from dispatch.models.bead import Dependency
from dispatch.models.decision import Decision, Option, Ruling
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.outcome import Failed
from dispatch.models.settling import Escalation
from dispatch.models.states import RunState, StopReason

PLAIN = Escalation(reason="r", title="T", body="B")
SHOP = ProjectId("shop")


def _escalated(scene: Any, key: BeadKey, escalation: Escalation = PLAIN) -> Decision:
    made: Decision = scene.store.settling.escalate(key, escalation)
    return made


def _ruling(option: Option, **fields: Any) -> Ruling:
    return Ruling(option=option, by="ann", **fields)


def _decide(scene: Any, decision: Decision, option: Option, parts: Any = (), **fields: Any) -> Any:
    return scene.store.decisions.decide(decision.key, _ruling(option, **fields), parts)


# Each option


@pytest.mark.parametrize("option", [Option.RETRY, Option.ANSWER])
def test_a_bead_goes_on_at_once_with_what_was_said(scene: Any, option: Option) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    decision = _escalated(scene, key)
    assert scene.read(key).blocked
    scene.clock.advance(timedelta(seconds=1))
    made, released = _decide(scene, decision, option, advice="Use v2.")
    assert (made.ruling, made.ruled_at) == (_ruling(option, advice="Use v2."), scene.clock.at)
    assert released == (key.bead_id,)
    bead = scene.read(key)
    assert (bead.blocked, bead.failures, bead.ready_from, bead.hops) == (False, 0, None, 1)
    closed = scene.read(decision.key)
    assert (closed.status, closed.close_reason) == ("closed", f"{option}: Use v2.")
    (event,) = scene.events("decision.made")
    assert (event.bead_id, event.data["option"], event.data["by"], event.data["advice"]) == (
        key.bead_id,
        option,
        "ann",
        "Use v2.",
    )
    assert scene.claim(key) is not None


def test_raising_the_limit_lets_its_runs_count_anew(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    _decide(scene, _escalated(scene, key), Option.RAISE_LIMIT)
    bead = scene.read(key)
    assert (bead.hops, bead.hop_allowance, bead.failures) == (1, 1, 0)


def test_a_bead_is_reassigned_and_an_import_leaves_it_there(scene: Any) -> None:
    key = scene.bead(role="dev")
    _decide(scene, _escalated(scene, key), Option.REASSIGN, role="qa")
    bead = scene.read(key)
    assert (bead.role_hint, bead.role_reason) == ("qa", "ann decided that it goes to qa.")
    scene.bead(role="dev", title="New words", updated_at=scene.clock.at)
    assert scene.read(key).role_hint == "qa"
    (document, _) = scene.store.imports.documents(SHOP)
    assert document.changes == {}, "nothing of the tracker's is changed by it"
    scene.bead(role="ops", title="Another wish", updated_at=scene.clock.at)
    assert scene.read(key).role_hint == "ops"


def test_a_bead_that_was_reassigned_twice_still_knows_what_its_tracker_asked_for(scene: Any) -> None:
    key = scene.bead(role="dev")
    for role in ("qa", "ops"):
        _decide(scene, _escalated(scene, key), Option.REASSIGN, role=role)
    scene.bead(role="dev", title="New words", updated_at=scene.clock.at)
    assert scene.read(key).role_hint == "ops"


def test_a_split_bead_waits_for_its_parts(scene: Any) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    origin = [
        Dependency(issue_id=BeadId(f"shop-{n}"), depends_on_id=key.bead_id, type="discovered-from") for n in (2, 3)
    ]
    parts = [scene.record(edge.issue_id, edges=[edge]) for edge in origin]
    _, released = _decide(scene, decision, Option.SPLIT, parts, into=("shop-2", "shop-3"))
    assert released == ()
    assert scene.read(key).blocked
    assert {blocker.id for blocker in scene.store.reading.blockers(key)} == {"shop-2", "shop-3"}
    assert {bead.id for bead in scene.store.reading.ready(SHOP)} == {"shop-2", "shop-3"}
    scene.store.edits.close(BeadKey.of("shop", "shop-2"), "Done.")
    assert scene.read(key).blocked
    assert scene.store.edits.close(BeadKey.of("shop", "shop-3"), "Done.") == (key.bead_id,)
    worker = scene.worker()
    (advice,) = scene.start(scene.claimed(key), worker).advice
    assert advice.advice.startswith("It was split into shop-2, shop-3")
    exported = {document.id: document for document in scene.store.imports.documents(SHOP)}
    assert {edge["depends_on_id"] for edge in exported["shop-1"].added_edges} >= {"shop-2", "shop-3"}


def test_the_id_of_a_part_may_be_taken_meanwhile(scene: Any) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    scene.bead("shop-2")
    with pytest.raises(RefusedError, match="shop-2 was taken"):
        _decide(scene, decision, Option.SPLIT, [scene.record("shop-3"), scene.record("shop-2")], into=("shop-3",))
    assert scene.store.decisions.find(key.bead_id).ruling is None
    assert "shop-3" not in scene.store.imports.ids(SHOP)


def test_a_bead_is_closed_and_what_waited_for_it_can_go(scene: Any) -> None:
    key = scene.bead()
    waiting = scene.bead("shop-2", waits_for=("shop-1",))
    made, released = _decide(scene, _escalated(scene, key), Option.CLOSE, reason="Not wanted.")
    assert released == (waiting.bead_id,)
    bead = scene.read(key)
    assert (bead.status, bead.close_reason) == ("closed", "Not wanted.")
    assert scene.kinds(key)[-2:] == ["decision.made", "bead.closed"]
    (document, *_) = scene.store.imports.documents(SHOP)
    assert document.changes["close_reason"] == "Not wanted."
    assert made.ruling.reason == "Not wanted."


def test_closing_a_bead_that_runs_stops_its_agent(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    _decide(scene, _escalated(scene, key), Option.CLOSE)
    assert scene.run(started.run.id).state is RunState.RUNNING
    assert scene.store.running.renew(started.run.id, started.token).stop_reason is StopReason.CLOSED_BY_HAND


def test_what_goes_to_and_fro_is_watched_anew(scene: Any) -> None:
    key = scene.bead()
    scene.value("UPDATE beads SET triaged_at = '2026-01-01' WHERE id = 'shop-1' RETURNING id")
    scene.clock.advance(timedelta(hours=1))
    _decide(scene, _escalated(scene, key, ping_pong(scene.read(key))), Option.RETRY)
    assert scene.read(key).triaged_at == scene.clock.at
    other = scene.bead("shop-2")
    _decide(scene, _escalated(scene, other), Option.RETRY)
    assert scene.read(other).triaged_at is None


# Once


def test_who_comes_second_is_told_what_was_decided_by_whom_and_when(scene: Any) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    _decide(scene, decision, Option.RETRY, advice="Use v2.")
    with pytest.raises(RefusedError) as refused:
        _decide(scene, decision, Option.CLOSE)
    said = f"{decision.key} was decided by ann at 2026-09-25 12:00:00Z: retry: Use v2. "
    assert str(refused.value).startswith(said)
    assert scene.read(key).status == "open"
    assert len(scene.events("decision.made")) == 1


def test_of_many_at_once_one_decides(scene: Any, at_once: Any) -> None:
    for number in range(3):
        key = scene.bead(f"shop-{number}")
        decision = _escalated(scene, key)
        options = [Option.RETRY, Option.CLOSE] * 4
        made = at_once([lambda option=option, of=decision: _decide(scene, of, option) for option in options])
        refused = [one for one in made if isinstance(one, RefusedError)]
        (winner,) = [one for one in made if not isinstance(one, Exception)]
        assert len(refused) == 7
        ended = scene.read(key).status
        assert ended == ("closed" if winner[0].ruling.option is Option.CLOSE else "open")


def test_deciding_and_closing_by_hand_at_once_decide_once(scene: Any, at_once: Any) -> None:
    for number in range(4):
        key = scene.bead(f"shop-{number}")
        decision = _escalated(scene, key)
        by_hand = at_once(
            [
                lambda of=decision: _decide(scene, of, Option.RAISE_LIMIT),
                lambda of=decision: scene.store.edits.close(of.key, "Go.", by="bob"),
            ]
        )
        assert len([one for one in by_hand if isinstance(one, RefusedError)]) == 1
        assert not scene.read(key).blocked
    assert len(scene.events("decision.made")) == 4


def test_escalating_while_it_is_decided_leaves_nothing_blocked_without_a_decision(scene: Any, at_once: Any) -> None:
    for number in range(6):
        key = scene.bead(f"shop-{number}")
        decision = _escalated(scene, key)
        decided, escalated = at_once(
            [lambda of=decision: _decide(scene, of, Option.RETRY), lambda key=key: _escalated(scene, key)]
        )
        assert not isinstance(decided, Exception)
        assert not isinstance(escalated, Exception)
        found = scene.store.decisions.find(key.bead_id)
        assert scene.read(key).blocked is (found.ruling is None)
        assert scene.read(key).blocked is escalated.created


# Nothing half done


_BREAK = """
CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {action} RETURN NEW; END $$;
CREATE TRIGGER break BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.kind = '{kind}') EXECUTE FUNCTION break();
"""
_MEND = "DROP TRIGGER break ON events; DROP FUNCTION break();"


@pytest.mark.parametrize("kind", ["decision.made", "bead.closed", "bead.added"])
@pytest.mark.parametrize("action", ["RAISE 'broken';", "PERFORM pg_terminate_backend(pg_backend_pid());"])
def test_a_decision_that_breaks_off_leaves_nothing_and_can_be_made_again(scene: Any, kind: str, action: str) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    with scene.store.units.begin() as tx:
        tx.connection.execute(text(_BREAK.format(action=action, kind=kind)))
    split = {"parts": [scene.record("shop-2")], "into": (BeadId("shop-2"),)}
    with pytest.raises(DBAPIError):
        _decide(scene, decision, Option.SPLIT, **split)
    assert scene.store.decisions.find(key.bead_id).ruling is None
    assert scene.read(decision.key).status == "open"
    assert scene.events("decision.made", "bead.closed", "bead.added") == []
    assert sorted(scene.store.imports.ids(SHOP)) == sorted([key.bead_id, decision.decision_id])
    assert [blocker.id for blocker in scene.store.reading.blockers(key)] == [decision.decision_id]
    with scene.store.units.begin() as tx:
        tx.connection.execute(text(_MEND))
    _decide(scene, decision, Option.SPLIT, **split)
    assert [blocker.id for blocker in scene.store.reading.blockers(key)] == ["shop-2"]


# By hand


def test_closing_a_decision_by_hand_is_a_retry_with_the_reason_as_advice(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    decision = _escalated(scene, key)
    assert scene.store.edits.close(decision.key, "Use v2.", by="bob") == (key.bead_id,)
    found = scene.store.decisions.find(decision.decision_id)
    assert found.ruling == Ruling(option=Option.RETRY, by="bob", advice="Use v2.")
    assert scene.read(decision.key).close_reason == "Use v2."
    assert scene.read(key).failures == 0


def test_closing_a_question_by_hand_answers_it(scene: Any) -> None:
    key = scene.bead()
    decision = _escalated(scene, key, asked(scene.read(key), "Red?"))
    scene.store.edits.close(decision.key, "Blue.")
    assert scene.store.decisions.find(key.bead_id).ruling.option is Option.ANSWER


def test_closing_a_bead_by_hand_ends_the_decision_about_it(scene: Any) -> None:
    key = scene.bead()
    waiting = scene.bead("shop-2", waits_for=("shop-1",))
    decision = _escalated(scene, key)
    assert scene.store.edits.close(key, "Not wanted.", by="bob") == (waiting.bead_id,)
    assert scene.read(decision.key).status == "closed"
    assert scene.store.decisions.find(key.bead_id).ruling.option is Option.MOOT
    assert scene.store.decisions.inbox() == []
    assert scene.read(key).close_reason == "Not wanted."


def test_a_decision_about_a_bead_that_was_done_meanwhile_ends_by_itself(scene: Any) -> None:
    key = scene.bead()
    other = _escalated(scene, scene.bead("shop-2"))
    decision = _escalated(scene, key)
    scene.bead(status="closed", updated_at=scene.clock.at)
    assert [entry.decision.key for entry in scene.store.decisions.inbox()] == [other.key]
    assert scene.store.decisions.counts() == (1, 0)
    with pytest.raises(RefusedError, match="shop/shop-1 is closed already"):
        _decide(scene, decision, Option.RETRY)
    assert scene.store.decisions.end_moot() == [key]
    assert scene.store.decisions.end_moot() == []
    assert scene.read(decision.key).status == "closed"
    assert scene.read(other.key).status == "open"


def test_a_bead_that_was_pinned_meanwhile_stays_as_it_is(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"))
    decision = _escalated(scene, key)
    scene.bead(pinned=True, title="Kept", updated_at=scene.clock.at)
    assert scene.store.decisions.end_moot() == [key]
    assert scene.read(decision.key).status == "closed"
    assert scene.read(key).failures == 1


# As a file


def test_what_was_decided_is_exported(scene: Any) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    _decide(scene, decision, Option.RETRY, advice="Use v2.")
    (_, document) = scene.store.imports.documents(SHOP)
    assert document.changes == {
        "status": "closed",
        "closed_at": "2026-09-25T12:00:00Z",
        "close_reason": "retry: Use v2.",
        "updated_at": "2026-09-25T12:00:00Z",
    }
    known = json.loads(document.text)
    assert (known["issue_type"], known["metadata"]["escalates"]) == ("decision", "shop-1")
