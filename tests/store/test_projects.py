"""Projects: added once, found, paused."""

from pathlib import Path
from typing import Any

import pytest

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.identity import ProjectId


def test_a_project_is_added_once_and_its_history_says_so_once(scene: Any) -> None:
    first = scene.store.projects.add(ProjectId("barn"), Path("/srv/barn"))
    again = scene.store.projects.add(ProjectId("barn"), Path("/srv/barn"), "other")
    assert first == again
    assert (first.prefix, first.paused, first.created_at) == ("barn", False, scene.clock.at)
    assert [event.project_id for event in scene.events("project.added")] == ["shop", "barn"]


def test_an_id_that_stands_for_another_place_is_refused(scene: Any) -> None:
    with pytest.raises(RefusedError, match="'shop' is at /srv/shop already"):
        scene.store.projects.add(ProjectId("shop"), Path("/srv/elsewhere"))


def test_projects_are_listed_in_the_order_they_came_and_have_locks_of_their_own(scene: Any) -> None:
    scene.store.projects.add(ProjectId("barn"), Path("/srv/barn"))
    listed = scene.store.projects.all()
    assert [project.id for project in listed] == ["shop", "barn"]
    assert len({project.number for project in listed}) == 2
    assert scene.store.projects.count() == 2


def test_a_pause_has_a_reason_that_ends_with_it(scene: Any) -> None:
    projects, shop = scene.store.projects, ProjectId("shop")
    projects.set_paused(shop, True, "lunch")
    assert (projects.get(shop).paused, projects.get(shop).pause_reason) == (True, "lunch")
    projects.set_paused(shop, False)
    assert (projects.get(shop).paused, projects.get(shop).pause_reason) == (False, "")
    assert [event.kind for event in scene.events()][-2:] == ["project.paused", "project.resumed"]


def test_a_project_that_is_not_there_is_not_found(scene: Any) -> None:
    with pytest.raises(NotFoundError, match="'barn'"):
        scene.store.projects.get(ProjectId("barn"))
    with pytest.raises(NotFoundError, match="'barn'"):
        scene.store.projects.set_paused(ProjectId("barn"), True)
