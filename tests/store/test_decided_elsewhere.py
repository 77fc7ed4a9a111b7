"""What became of decisions in the tracker comes with its file; and what came from elsewhere is a decision again."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.escalation import asked
from dispatch.exchange import export_to, import_file
from dispatch.models.decision import Decision, EscalationKind, Option, Ruling
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.settling import Escalation

PLAIN = Escalation(reason="r", title="T", body="B")
SHOP = ProjectId("shop")


def _escalated(scene: Any, key: BeadKey, escalation: Escalation = PLAIN) -> Decision:
    made: Decision = scene.store.settling.escalate(key, escalation)
    return made


def _tracker_says(scene: Any, tmp_path: Path, bead_id: str, **fields: Any) -> None:
    """Export the project, change a bead in the file as a tracker would, and import it again."""
    path = tmp_path / "issues.jsonl"
    export_to(scene.store, SHOP, path)
    scene.clock.advance(timedelta(minutes=1))
    lines = []
    for line in path.read_text().splitlines():
        document = json.loads(line)
        if document["id"] == bead_id:
            document |= {"updated_at": scene.clock.at.isoformat(), **fields}
        lines.append(json.dumps(document))
    path.write_text("\n".join(lines))
    import_file(scene.store, SHOP, path)


def test_a_decision_that_is_closed_in_the_tracker_is_made(scene: Any, tmp_path: Path) -> None:
    worker = scene.worker()
    key = scene.bead()
    decision = _escalated(scene, key)
    _tracker_says(scene, tmp_path, decision.decision_id, status="closed", close_reason="Use v2.")
    assert scene.store.decisions.find("shop-1").ruling == Ruling(
        option=Option.RETRY, by="the tracker", advice="Use v2."
    )
    assert not scene.read(key).blocked
    scene.store.swarm.heartbeat(worker)
    (advice,) = scene.start(scene.claimed(key), worker).advice
    assert advice.advice == "Use v2."
    assert [event.data["by"] for event in scene.events("decision.made")] == ["the tracker"]
    assert scene.read(decision.key).close_reason == "Use v2."


def test_a_question_that_is_closed_in_the_tracker_is_answered(scene: Any, tmp_path: Path) -> None:
    key = scene.bead()
    decision = _escalated(scene, key, asked(scene.read(key), "Red?"))
    _tracker_says(scene, tmp_path, decision.decision_id, status="closed", close_reason="Blue.")
    assert scene.store.decisions.find("shop-1").ruling.option is Option.ANSWER


def test_a_decision_that_is_deleted_in_the_tracker_holds_nothing_back(scene: Any, tmp_path: Path) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    _tracker_says(scene, tmp_path, decision.decision_id, status="tombstone", delete_reason="No.")
    assert not scene.read(key).blocked
    assert scene.store.decisions.inbox() == []
    assert scene.store.decisions.find("shop-1").ruling == Ruling(option=Option.RETRY, by="the tracker")
    again = _escalated(scene, key)
    assert again.created
    assert again.decision_id != decision.decision_id


def test_a_decision_that_the_tracker_opens_again_asks_again(scene: Any, tmp_path: Path) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    _tracker_says(scene, tmp_path, decision.decision_id, status="closed", close_reason="Use v2.")
    _tracker_says(scene, tmp_path, decision.decision_id, status="open", close_reason=None, closed_at=None)
    assert scene.read(key).blocked
    (entry,) = scene.store.decisions.inbox()
    assert entry.decision.decision_id == decision.decision_id
    scene.store.decisions.decide(decision.key, Ruling(option=Option.RETRY, by="ann"))
    assert not scene.read(key).blocked


def test_a_decision_that_we_made_is_not_opened_by_an_older_file(scene: Any, tmp_path: Path) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    path = tmp_path / "issues.jsonl"
    export_to(scene.store, SHOP, path)
    scene.clock.advance(timedelta(minutes=1))
    scene.store.decisions.decide(decision.key, Ruling(option=Option.RETRY, by="ann"))
    import_file(scene.store, SHOP, path)
    assert scene.store.decisions.find("shop-1").ruling is not None
    assert not scene.read(key).blocked


def test_an_edited_decision_is_still_the_one(scene: Any, tmp_path: Path) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    _tracker_says(scene, tmp_path, decision.decision_id, title="Please decide")
    (entry,) = scene.store.decisions.inbox()
    assert (entry.decision.key, entry.decision.ruling) == (decision.key, None)
    assert scene.read(key).blocked


# To and fro


@pytest.fixture
def elsewhere(scene: Any, tmp_path: Path) -> ProjectId:
    """Given a second project, as of another deployment."""
    project: ProjectId = scene.store.projects.add(ProjectId("elsewhere"), tmp_path, "shop").id
    return project


def _carry(scene: Any, tmp_path: Path, to: ProjectId) -> str:
    """Take the project to another one, by file."""
    path = tmp_path / "issues.jsonl"
    export_to(scene.store, SHOP, path)
    import_file(scene.store, to, path)
    return path.read_text()


def test_an_open_decision_keeps_everything_on_its_way(scene: Any, tmp_path: Path, elsewhere: ProjectId) -> None:
    key = scene.bead()
    decision = _escalated(scene, key, asked(scene.read(key), "Red or blue?"))
    carried = _carry(scene, tmp_path, elsewhere)
    (entry,) = scene.store.decisions.inbox(elsewhere)
    assert (entry.decision.decision_id, entry.decision.bead_id) == (decision.decision_id, "shop-1")
    assert (entry.decision.kind, entry.decision.reason) == (EscalationKind.QUESTION, "its agent asks")
    assert entry.decision.offer.recommended is Option.ANSWER
    assert scene.read(BeadKey(elsewhere, key.bead_id)).blocked
    path = tmp_path / "again.jsonl"
    export_to(scene.store, elsewhere, path)
    assert path.read_text() == carried
    scene.store.decisions.decide(entry.decision.key, Ruling(option=Option.ANSWER, by="ann", advice="Red."))
    assert not scene.read(BeadKey(elsewhere, key.bead_id)).blocked
    assert scene.read(key).blocked, "the other one is its own"


def test_what_was_decided_before_is_told_there_too(scene: Any, tmp_path: Path, elsewhere: ProjectId) -> None:
    key = scene.bead()
    scene.store.decisions.decide(_escalated(scene, key).key, Ruling(option=Option.RETRY, by="ann", advice="Use v2."))
    _carry(scene, tmp_path, elsewhere)
    assert scene.store.decisions.inbox(elsewhere) == []
    there = BeadKey(elsewhere, key.bead_id)
    assert not scene.read(there).blocked
    worker = scene.worker()
    (advice,) = scene.start(scene.claimed(there), worker).advice
    assert "Use v2." in advice.advice


@pytest.mark.parametrize(
    ("fields", "kind", "reason"),
    [
        ({"kind": "limit", "reason": "why"}, EscalationKind.LIMIT, "why"),
        ({"kind": "unheard of", "reason": 5, "returned_to": []}, EscalationKind.RETURNED, "Do shop-d"),
        ({}, EscalationKind.RETURNED, "Do shop-d"),
    ],
)
def test_what_its_bead_does_not_say_well_is_guessed(
    scene: Any, fields: dict[str, Any], kind: EscalationKind, reason: str
) -> None:
    scene.bead()
    scene.bead("shop-d", issue_type="decision", metadata={"escalates": "shop-1", **fields})
    found = scene.store.decisions.find("shop-d")
    assert (found.kind, found.reason, found.returned_to) == (kind, reason, None)


@pytest.mark.parametrize("metadata", [{}, {"escalates": "nobody"}, {"escalates": 5}])
def test_a_decision_of_the_tracker_about_no_bead_is_none_of_ours(scene: Any, metadata: dict[str, Any]) -> None:
    scene.bead("shop-d", issue_type="decision", metadata=metadata)
    assert scene.store.decisions.inbox() == []
    scene.store.edits.close(BeadKey(SHOP, BeadId("shop-d")), "Done.")


def test_the_decision_may_come_before_its_bead_in_the_file(scene: Any) -> None:
    records = [
        scene.record("shop-d", issue_type="decision", metadata={"escalates": "shop-1"}),
        scene.record("shop-1", waits_for=("shop-d",)),
    ]
    scene.store.imports.import_records(SHOP, records)
    assert scene.store.decisions.find("shop-1").decision_id == "shop-d"


def test_of_two_decisions_about_a_bead_the_first_is_the_one(scene: Any) -> None:
    key = scene.bead()
    made = _escalated(scene, key)
    scene.bead("shop-d", issue_type="decision", metadata={"escalates": "shop-1"})
    assert scene.store.decisions.find("shop-1").decision_id == made.decision_id
