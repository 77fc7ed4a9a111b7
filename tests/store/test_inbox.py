"""What waits for a human: found, listed, and announced again while he does not decide."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.bead import Dependency
from dispatch.models.decision import Decision, Option, Ruling
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.settling import Escalation

RETRY = Ruling(option=Option.RETRY, by="ann")


def _escalated(scene: Any, key: BeadKey) -> Decision:
    made: Decision = scene.store.settling.escalate(key, Escalation(reason="r", title="T", body="B"))
    return made


def _decide(scene: Any, decision: Decision) -> None:
    scene.store.decisions.decide(decision.key, RETRY)


# Finding


def test_a_decision_is_found_by_its_id_and_by_that_of_its_bead(scene: Any) -> None:
    key = scene.bead()
    first = _escalated(scene, key)
    _decide(scene, first)
    scene.clock.advance(timedelta(hours=1))
    second = _escalated(scene, key)
    find = scene.store.decisions.find
    assert find(first.decision_id).decision_id == first.decision_id
    assert find("shop-1").decision_id == find(f"shop/{second.decision_id}").decision_id == second.decision_id
    scene.clock.advance(timedelta(hours=1))
    _decide(scene, second)
    assert find("shop-1").decision_id == second.decision_id, "the last that was made"


def test_what_waits_for_none_and_what_is_not_there_are_told_apart(scene: Any) -> None:
    scene.bead()
    with pytest.raises(RefusedError, match="shop/shop-1 waits for no decision"):
        scene.store.decisions.find("shop-1")
    with pytest.raises(NotFoundError, match="'shop-9'"):
        scene.store.decisions.find("shop-9")
    for call in (scene.store.decisions.entry, lambda key: scene.store.decisions.decide(key, RETRY)):
        with pytest.raises(NotFoundError, match="no decision 'shop/shop-9'"):
            call(BeadKey.of("shop", "shop-9"))


# The inbox


def test_the_inbox_has_what_is_open_with_its_bead_and_who_waits(scene: Any) -> None:
    key = scene.bead(title="Sell", priority=1)
    for name, edge, status in (
        ("a", "blocks", "open"),
        ("b", "blocks", "closed"),
        ("c", "related", "open"),
        ("d", "waits-for", "open"),
    ):
        dependency = Dependency(issue_id=BeadId(name), depends_on_id=key.bead_id, type=edge)
        scene.bead(name, title=f"Then {name}", status=status, edges=[dependency])
    decision = _escalated(scene, key)
    done = _escalated(scene, scene.bead("shop-2"))
    _decide(scene, done)
    scene.clock.advance(timedelta(hours=4))
    (entry,) = scene.store.decisions.inbox()
    assert entry.decision.key == decision.key
    assert (entry.title, entry.priority, entry.status) == ("Sell", 1, "open")
    assert (entry.waiting, entry.is_overdue) == (timedelta(hours=4), True)
    assert [(one.id, one.title) for one in entry.dependents] == [("a", "Then a"), ("d", "Then d")]
    assert scene.store.decisions.counts() == (1, 1)
    ruled = scene.store.decisions.entry(done.key)
    assert (ruled.waiting, ruled.is_overdue) == (timedelta(), False)


def test_the_inbox_of_one_project_has_nothing_of_others(scene: Any, tmp_path: Path) -> None:
    _escalated(scene, scene.bead())
    other = scene.store.projects.add(ProjectId("other"), tmp_path, "other").id
    _escalated(scene, scene.bead("shop-1", project=other))
    assert len(scene.store.decisions.inbox()) == 2
    (entry,) = scene.store.decisions.inbox(other)
    assert entry.decision.project_id == other
    assert scene.store.decisions.counts(other) == (1, 0)


# Announced again


def _announced(scene: Any) -> list[tuple[str, int]]:
    return [(one.bead_id, one.announcements) for one in scene.store.decisions.announce()]


def test_what_waits_is_announced_after_four_hours_and_after_eight_and_no_more(scene: Any) -> None:
    key = scene.bead()
    decision = _escalated(scene, key)
    scene.clock.advance(timedelta(hours=4, seconds=-1))
    assert _announced(scene) == []
    scene.clock.advance(timedelta(seconds=1))
    assert [one.key for one in scene.store.decisions.due_announcements()] == [decision.key]
    assert _announced(scene) == [("shop-1", 1)]
    assert _announced(scene) == []
    scene.clock.advance(timedelta(hours=4))
    assert _announced(scene) == [("shop-1", 2)]
    scene.clock.advance(timedelta(days=4))
    assert _announced(scene) == []
    first, second = scene.events("decision.open")
    assert (first.bead_id, first.data["announcement"], second.data["announcement"]) == ("shop-1", 1, 2)
    assert first.data["decision"] == decision.decision_id
    assert first.data["opened_at"] == "2026-09-25T12:00:00Z"


def test_what_is_decided_or_about_a_bead_that_is_done_is_not_announced(scene: Any) -> None:
    _decide(scene, _escalated(scene, scene.bead()))
    _escalated(scene, scene.bead("shop-2"))
    scene.bead("shop-2", status="closed", updated_at=scene.clock.at)
    scene.clock.advance(timedelta(hours=4))
    assert _announced(scene) == []


def test_several_announcers_at_once_announce_each_once(scene: Any, at_once: Any) -> None:
    for number in range(5):
        _escalated(scene, scene.bead(f"shop-{number}"))
    scene.clock.advance(timedelta(hours=4))
    found = at_once([lambda: _announced(scene)] * 6)
    assert not [one for one in found if isinstance(one, Exception)]
    assert sorted(one for each in found for one in each) == [(f"shop-{number}", 1) for number in range(5)]
    assert len(scene.events("decision.open")) == 5
