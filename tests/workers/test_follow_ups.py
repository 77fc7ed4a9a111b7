"""What an agent finds beside its own work becomes a bead that names the one it was found from, once."""

from collections.abc import Callable
from typing import Any

import pytest

from dispatch.models.bead import DISCOVERED_TYPE
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.messages import BeadEvent
from dispatch.store import StartedRun
from workers.follow_ups import MOST_FOLLOW_UPS, FollowUpTaker


@pytest.fixture
def started(scene: Any) -> StartedRun:
    key = scene.bead()
    run: StartedRun = scene.start(scene.claimed(key, scene.agents_of(worker := scene.worker())), worker)
    return run


@pytest.fixture
def taker(scene: Any, started: StartedRun) -> Callable[[], FollowUpTaker]:
    return lambda: FollowUpTaker(scene.store, scene.settings, started, lambda: scene.clock.at)


def _found(scene: Any) -> list[Any]:
    named_by = scene.store.reading.dependents(BeadKey.of("shop", "shop-1"))
    keys = [BeadKey.of("shop", edge.issue_id) for edge in named_by if edge.type == DISCOVERED_TYPE]
    return sorted(scene.store.reading.beads(keys).values(), key=lambda bead: bead.title)


def test_a_bead_is_filed_with_an_edge_and_once_whatever_repeats_it(scene: Any, taker: Any) -> None:
    event = BeadEvent(title="Mend the till", description="It rounds down.", priority=1, issue_type="bug")
    first = taker()
    first.add(event)
    first.add(event.model_copy(update={"title": " mend  the Till"}))
    taker().add(event)  # the run is done again by another worker
    (found,) = _found(scene)
    assert (found.title, found.description, found.priority, found.issue_type) == (
        "Mend the till",
        "It rounds down.",
        1,
        "bug",
    )
    assert found.labels == ("auto-filed",), "it goes by the evidence in its text"
    assert not found.blocked
    (told,) = scene.events("bead.discovered")
    assert (told.bead_id, told.data["found"]) == ("shop-1", found.id)
    assert scene.store.imports.ids(ProjectId("shop")) == ["shop-1", found.id]


def test_the_first_ten_of_a_run_are_kept(scene: Any, taker: Any) -> None:
    one = taker()
    for number in range(MOST_FOLLOW_UPS + 2):
        one.add(BeadEvent(title=f"Do {number:02}"))
    assert [bead.title for bead in _found(scene)] == [f"Do {number:02}" for number in range(MOST_FOLLOW_UPS)]
