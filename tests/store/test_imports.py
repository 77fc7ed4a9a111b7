"""Imports: the file's word counts, except where a run holds the bead or we closed it (PROTOCOL, rule 14)."""

from datetime import timedelta
from typing import Any

from dispatch.models.bead import Dependency
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.importing import MemoryRecord
from dispatch.models.outcome import Completed, Failed
from dispatch.models.settling import Escalation

SHOP = ProjectId("shop")
SECOND = timedelta(seconds=1)


def _import(scene: Any, records: list[Any], **rest: Any) -> Any:
    return scene.store.imports.import_records(SHOP, records, **rest)


def _edge(bead_id: str, target: str, kind: str = "blocks") -> Dependency:
    return Dependency(issue_id=BeadId(bead_id), depends_on_id=BeadId(target), type=kind)


def test_the_same_file_again_changes_nothing(scene: Any) -> None:
    records = [scene.record("shop-1"), scene.record("shop-2", waits_for=("shop-1",))]
    first, second = _import(scene, records), _import(scene, records)
    assert (first.created, first.updated, first.unchanged) == (2, 0, 0)
    assert (second.created, second.updated, second.unchanged) == (0, 0, 2)
    assert len(scene.events("project.imported")) == 1


def test_a_document_that_only_looks_different_is_unchanged(scene: Any) -> None:
    record = scene.record("shop-1")
    _import(scene, [record])
    spaced = scene.record("shop-1", text=record.text.replace(": ", ":   "))
    assert spaced.text != record.text
    assert _import(scene, [spaced]).unchanged == 1


def test_a_newer_record_updates_and_an_older_one_is_passed_over(scene: Any) -> None:
    now = scene.clock.at
    _import(scene, [scene.record("shop-1", title="Second", updated_at=now)])
    older = _import(scene, [scene.record("shop-1", title="First", updated_at=now - SECOND)])
    assert (older.older, older.updated) == (1, 0)
    newer = _import(scene, [scene.record("shop-1", title="Third", updated_at=now + SECOND, priority=0)])
    assert (newer.older, newer.updated) == (0, 1)
    bead = scene.read(BeadKey.of("shop", "shop-1"))
    assert (bead.title, bead.priority, bead.updated_at) == ("Third", 0, now + SECOND)


def test_a_record_without_a_time_of_making_keeps_the_first_one(scene: Any) -> None:
    now = scene.clock.at
    _import(scene, [scene.record("shop-1", created_at=None, updated_at=now)])
    _import(scene, [scene.record("shop-1", created_at=None, updated_at=now + SECOND, title="Changed")])
    assert scene.read(BeadKey.of("shop", "shop-1")).created_at == now, "its place in the queue stays"


def test_a_bead_without_any_time_was_made_when_it_came(scene: Any) -> None:
    _import(scene, [scene.record("shop-1", created_at=None)])
    assert scene.read(BeadKey.of("shop", "shop-1")).created_at == scene.clock.at


def test_an_import_leaves_status_and_assignee_of_a_bead_that_a_run_holds(scene: Any) -> None:
    scene.worker()
    key = scene.bead(assignee="somebody")
    scene.claimed(key)
    record = scene.record("shop-1", status="closed", assignee="another", title="New words", updated_at=scene.clock.at)
    report = _import(scene, [record])
    bead = scene.read(key)
    assert (bead.status, bead.assignee, bead.title) == ("in_progress", "somebody", "New words")
    assert report.kept == ["shop-1"]


def test_an_import_leaves_the_status_of_a_bead_that_waits_to_land(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(), "c" * 40)
    report = _import(scene, [scene.record("shop-1", status="open", title="New", updated_at=scene.clock.at)])
    assert scene.read(key).status == "landing"
    assert report.kept == ["shop-1"]


def test_a_bead_that_we_closed_is_not_opened_again_and_keeps_its_closing(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(nothing_to_do=True, summary="It was so."))
    for status in ("open", "in_progress"):
        scene.clock.advance(SECOND)
        record = scene.record("shop-1", status=status, title=f"Still {status}", updated_at=scene.clock.at)
        assert _import(scene, [record]).kept == ["shop-1"]
        bead = scene.read(key)
        assert (bead.status, bead.close_reason, bead.title) == ("closed", "It was so.", f"Still {status}")
    (document,) = scene.store.imports.documents(SHOP)
    assert document.changes["status"] == "closed"


def test_a_bead_that_a_human_closed_here_is_not_opened_again(scene: Any) -> None:
    key = scene.bead()
    scene.store.edits.close(key, "Not wanted.")
    _import(scene, [scene.record("shop-1", title="New", updated_at=scene.clock.at)])
    assert scene.read(key).status == "closed"


def test_a_bead_that_the_tracker_closed_may_be_opened_by_it(scene: Any) -> None:
    key = scene.bead(status="closed", closed_at=scene.clock.at)
    _import(scene, [scene.record("shop-1", title="Again", updated_at=scene.clock.at)])
    assert scene.read(key).status == "open"


def test_a_closing_that_came_back_from_the_tracker_is_the_trackers(scene: Any) -> None:
    key = scene.bead()
    scene.store.edits.close(key, "Done.")
    closed = scene.record("shop-1", status="closed", closed_at=scene.clock.at, updated_at=scene.clock.at, title="x")
    assert _import(scene, [closed]).kept == []
    (document,) = scene.store.imports.documents(SHOP)
    assert document.changes == {}


def test_a_bead_that_the_tracker_closes_releases_what_waited_for_it(scene: Any) -> None:
    scene.bead("shop-1")
    waiting = scene.bead("shop-2", waits_for=("shop-1",))
    assert scene.read(waiting).blocked
    _import(scene, [scene.record("shop-1", status="closed", updated_at=scene.clock.at)])
    assert not scene.read(waiting).blocked


def test_a_target_that_comes_later_blocks_from_then_on(scene: Any) -> None:
    waiting = scene.bead("shop-2", waits_for=("shop-1",))
    assert not scene.read(waiting).blocked
    scene.bead("shop-1")
    assert scene.read(waiting).blocked


def test_edges_are_those_of_the_file_and_ours_stay(scene: Any) -> None:
    scene.bead("shop-1")
    scene.bead("shop-2")
    key = scene.bead("shop-3", waits_for=("shop-1",))
    decision = scene.store.settling.escalate(key, Escalation(reason="r", title="T", body="B"))
    record = scene.record("shop-3", waits_for=("shop-2",), title="New", updated_at=scene.clock.at)
    _import(scene, [record])
    targets = {edge.depends_on_id for edge in scene.store.reading.dependencies(key)}
    assert targets == {"shop-2", decision.decision_id}
    assert scene.read(key).blocked
    scene.store.edits.close(BeadKey(SHOP, decision.decision_id), "")
    _import(scene, [scene.record("shop-3", title="Free", updated_at=scene.clock.at)])
    assert not scene.read(key).blocked


def test_a_deferral_of_a_parent_holds_its_children(scene: Any) -> None:
    later = scene.clock.at + timedelta(hours=1)
    scene.bead("shop-1", defer_until=later)
    child = scene.bead("shop-2", edges=[_edge("shop-2", "shop-1", "parent-child")])
    assert scene.read(child).ready_from == later
    _import(scene, [scene.record("shop-1", title="Now", updated_at=scene.clock.at)])
    assert scene.read(child).ready_from is None


def test_an_import_keeps_what_only_we_know(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="tests"), "c" * 40)
    before = scene.read(key)
    _import(scene, [scene.record("shop-1", title="New", updated_at=scene.clock.at)])
    after = scene.read(key)
    assert (after.hops, after.failures, after.head_sha, after.ready_from) == (
        before.hops,
        before.failures,
        before.head_sha,
        before.ready_from,
    )


def test_an_import_says_which_beads_a_run_holds_for_export(scene: Any) -> None:
    scene.worker()
    scene.bead("shop-1")
    scene.claimed(scene.bead("shop-2"), None)
    assert {document.id: document.held for document in scene.store.imports.documents(SHOP)} == {
        "shop-1": False,
        "shop-2": True,
    }


def test_memories_are_written_once_and_replaced(scene: Any) -> None:
    one, two, three = ('{"value": 1}', '{"value": 2}', '{"value": 3}')
    first = _import(scene, [], memories=[MemoryRecord(key="a", text=one), MemoryRecord(key="b", text=two)])
    again = _import(scene, [], memories=[MemoryRecord(key="a", text=one), MemoryRecord(key="b", text=three)])
    assert (first.memories, again.memories) == (2, 1)
    assert [(memory.key, memory.text) for memory in scene.store.memory.documents(SHOP)] == [("a", one), ("b", three)]


def test_more_beads_than_one_batch_come_in_order(scene: Any) -> None:
    records = [scene.record(f"shop-{number}") for number in range(1_050)]
    assert _import(scene, records).created == 1_050
    assert scene.store.imports.ids(SHOP) == [record.bead.id for record in records]
