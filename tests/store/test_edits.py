"""Changes by hand: add, close, adopt."""

import json
from datetime import timedelta
from typing import Any

import pytest

from dispatch.errors import CycleError, NotFoundError, RefusedError
from dispatch.models.bead import Dependency
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.outcome import Cancelled, Completed, Failed
from dispatch.models.states import RunState, StopReason

SHOP = ProjectId("shop")


def _edge(bead_id: str, target: str, kind: str = "blocks") -> Dependency:
    return Dependency(issue_id=BeadId(bead_id), depends_on_id=BeadId(target), type=kind)


def _no_cycle(edges: list[Dependency]) -> None:
    """The graph of these tests has none."""


# Add


def test_a_bead_is_added_with_its_edges_and_what_they_block(scene: Any) -> None:
    scene.bead("shop-1")
    scene.bead("shop-2")
    seen: list[Dependency] = []
    edge = _edge("shop-2", "shop-3")
    bead = scene.store.edits.add(
        SHOP, scene.record("shop-3", waits_for=("shop-1",)), [(edge, {"type": "blocks"})], seen.extend
    )
    assert bead.blocked
    assert scene.read(BeadKey(SHOP, BeadId("shop-2"))).blocked
    assert set(seen) == {_edge("shop-3", "shop-1"), edge}
    assert scene.kinds(bead.key) == ["bead.added"]
    documents = {document.id: document for document in scene.store.imports.documents(SHOP)}
    assert documents["shop-2"].added_edges == ({"type": "blocks"},)
    assert documents["shop-3"].added_edges == (), "its own document holds its edges"


def test_a_bead_in_a_cycle_is_refused_and_nothing_is_written(scene: Any) -> None:
    def refuse(edges: list[Dependency]) -> None:
        raise CycleError(bead_id="shop-2", depends_on_id="shop-2", path="shop-2 -> shop-2")

    with pytest.raises(CycleError):
        scene.store.edits.add(SHOP, scene.record("shop-2"), [], refuse)
    assert scene.store.imports.ids(SHOP) == []
    assert scene.events("bead.added") == []


def test_an_id_that_is_taken_is_refused(scene: Any) -> None:
    scene.bead("shop-1")
    with pytest.raises(RefusedError, match="has a bead shop-1 already"):
        scene.store.edits.add(SHOP, scene.record("shop-1"), [], _no_cycle)


def test_an_edge_to_a_bead_that_is_not_there_is_refused(scene: Any) -> None:
    with pytest.raises(NotFoundError, match="shop-9"):
        scene.store.edits.add(SHOP, scene.record("shop-1", waits_for=("shop-9",)), [], _no_cycle)


# Close


def test_closing_by_hand_says_so_and_releases_what_waited(scene: Any) -> None:
    key = scene.bead("shop-1")
    waiting = scene.bead("shop-2", waits_for=("shop-1",))
    assert scene.store.edits.close(key, "Not wanted.") == (waiting.bead_id,)
    bead = scene.read(key)
    assert (bead.status, bead.close_reason, bead.closed_at) == ("closed", "Not wanted.", scene.clock.at)
    assert not scene.read(waiting).blocked
    (document, _) = scene.store.imports.documents(SHOP)
    assert document.changes["close_reason"] == "Not wanted."


def test_a_closing_without_a_reason_leaves_none(scene: Any) -> None:
    key = scene.bead()
    scene.store.edits.close(key, "")
    (document,) = scene.store.imports.documents(SHOP)
    assert document.changes["close_reason"] is None


def test_closing_takes_a_pending_run_back(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    run_id = scene.claimed(key)
    scene.store.edits.close(key, "")
    assert scene.run(run_id).state is RunState.WITHDRAWN
    assert scene.agents_of(worker)[0].state == "idle"
    assert scene.read(key).status == "closed"
    assert scene.value("SELECT state FROM steps") == "joined"


def test_closing_asks_a_running_agent_to_stop(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    scene.store.edits.close(key, "")
    assert scene.store.running.renew(started.run.id, started.token).stop_reason is StopReason.CLOSED_BY_HAND
    assert scene.run(started.run.id).state is RunState.RUNNING
    assert scene.kinds(key)[-2:] == ["run.asked_to_stop", "bead.closed"]


def test_closing_a_step_of_which_some_run_and_some_wait_ends_all_of_it(scene: Any) -> None:
    worker = scene.worker(agents=3)
    key = scene.bead()
    handover = scene.claim(key, scene.agents_of(worker))
    started = scene.start(handover.run_ids[1], worker)
    scene.store.edits.close(key, "")
    assert [scene.run(run_id).state for run_id in handover.run_ids] == ["withdrawn", "running", "withdrawn"]
    scene.report(started, Cancelled(cause="closed by hand"))
    assert scene.settle(started.run.id) is not None
    assert scene.read(key).status == "closed"
    assert {agent.state for agent in scene.agents_of(worker)} == {"idle"}
    assert scene.value("SELECT count(*) FROM steps WHERE state = 'open'") == 0


def test_a_bead_that_waits_to_land_can_be_closed(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Completed(), "c" * 40)
    scene.store.edits.close(key, "")
    assert scene.store.landings.next(SHOP) is None


@pytest.mark.parametrize("status", ["closed", "tombstone"])
def test_what_is_closed_already_is_refused(scene: Any, status: str) -> None:
    key = scene.bead(status=status)
    with pytest.raises(RefusedError, match=f"shop/shop-1 is {status} already"):
        scene.store.edits.close(key, "")


def test_a_bead_that_is_not_there_is_not_found(scene: Any) -> None:
    with pytest.raises(NotFoundError, match="shop/shop-9"):
        scene.store.edits.close(BeadKey.of("shop", "shop-9"), "")


# Adopt


@pytest.mark.parametrize("status", ["in_progress", "hooked"])
def test_a_bead_that_a_tracker_left_in_progress_is_listed_and_can_be_opened(scene: Any, status: str) -> None:
    key = scene.bead(status=status)
    assert [bead.id for bead in scene.store.edits.orphans(SHOP)] == ["shop-1"]
    assert scene.store.edits.adopt(key) is True
    assert scene.store.edits.adopt(key) is False
    assert scene.read(key).status == "open"
    assert scene.store.edits.orphans() == []
    (document,) = scene.store.imports.documents(SHOP)
    assert document.changes == {"status": "open", "updated_at": "2026-09-25T12:00:00Z"}
    assert scene.kinds(key) == ["bead.adopted"]


@pytest.mark.parametrize("status", ["open", "closed", "landing"])
def test_no_other_bead_is_adopted(scene: Any, status: str) -> None:
    key = scene.bead(status=status)
    assert scene.store.edits.adopt(key) is False
    assert scene.read(key).status == status


def test_a_bead_with_a_run_is_not_adopted(scene: Any) -> None:
    scene.worker()
    key = scene.bead()
    scene.claimed(key)
    assert scene.store.edits.orphans() == []
    assert scene.store.edits.adopt(key) is False


def test_a_bead_that_was_adopted_and_then_closed_carries_both_changes(scene: Any) -> None:
    key = scene.bead(status="in_progress")
    scene.store.edits.adopt(key)
    scene.clock.advance(timedelta(seconds=1))
    scene.store.edits.close(key, "Done.")
    (document,) = scene.store.imports.documents(SHOP)
    assert document.changes["status"] == "closed"
    assert document.changes["updated_at"] == "2026-09-25T12:00:01Z"
    assert json.loads(document.text)["status"] == "in_progress", "what came stays as it came"


# The victim of a deadlock


def test_a_closing_and_starts_of_its_step_at_once_all_end_well(scene: Any, at_once: Any) -> None:
    worker = scene.worker(agents=4)
    for number in range(6):
        scene.store.swarm.heartbeat(worker)
        key = scene.bead(f"shop-{number}")
        handover = scene.claim(key, scene.agents_of(worker))
        starts = [lambda run_id=run_id: scene.store.running.start(run_id, worker) for run_id in handover.run_ids]
        closed, *started = at_once([lambda key=key: scene.store.edits.close(key, ""), *starts])
        assert closed == (), closed
        for one in started:
            assert not isinstance(one, Exception), one
            if not isinstance(one, str):
                scene.report(one, Failed(cause="stopped"))
                scene.settle(one.run.id)
        assert {agent.state for agent in scene.agents_of(worker)} == {"idle"}
        assert scene.read(key).status == "closed"
