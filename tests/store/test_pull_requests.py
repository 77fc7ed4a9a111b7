"""The pull request of a bead: kept as it was noted, and told when that is news."""

from dataclasses import replace
from typing import Any

from dispatch.models.identity import ProjectId
from dispatch.models.landing import PullRequest
from dispatch.models.outcome import Completed

SHA = "c" * 40
BEGUN = PullRequest(branch="bead/shop-1", base="main", head_sha=SHA, pushed_sha="d" * 40, tip_sha="e" * 40)


def test_it_is_kept_as_noted_and_its_news_are_told_once(scene: Any) -> None:
    key, records = scene.bead(), scene.store.pull_requests
    assert records.find(key) is None
    pushed = replace(BEGUN, is_pushed=True, seen_sha=BEGUN.pushed_sha)
    opened = replace(pushed, url="https://forge.example/1", asked_at=records.moment())
    for state in (BEGUN, pushed, pushed, replace(pushed, tip_sha="f" * 40), opened, replace(opened, ended="merged")):
        records.note(key, state)
        assert records.find(key) == state
    told = [(event.data["url"], event.data["ended"]) for event in scene.events("bead.proposed")]
    assert told == [("", ""), ("https://forge.example/1", ""), ("https://forge.example/1", "merged")]


def test_those_that_wait_are_of_beads_that_wait_to_land(scene: Any) -> None:
    worker, records = scene.worker(), scene.store.pull_requests
    key, other = scene.bead("shop-1"), scene.bead("shop-2")
    pushed = replace(BEGUN, is_pushed=True)
    records.note(other, pushed)
    records.note(key, pushed)
    assert records.waiting() == []
    scene.work(key, worker, Completed(), SHA)
    assert records.waiting() == records.waiting(scene.project.id) == [(key, pushed)]
    assert records.waiting(ProjectId("other")) == []
    records.note(key, replace(pushed, ended="declined"))
    assert records.waiting() == []
