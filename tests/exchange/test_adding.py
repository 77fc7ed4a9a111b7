"""Beads that are made here."""

import json
import re
from datetime import UTC, datetime

import pytest

from dispatch.errors import BadInputError, CycleError, NotFoundError, RefusedError
from dispatch.exchange import NewBead, add_bead, export_project, import_file
from dispatch.models.identity import BeadKey, ProjectId

NOW = datetime(2026, 9, 25, 12, tzinfo=UTC)


@pytest.fixture
def add(store, project):
    """Return a function that adds a bead to the project."""

    def call(title: str = "Mend it", **said):
        return add_bead(store, project, NewBead(title=title, **said), created_by="ann", now=NOW)

    return call


@pytest.fixture
def document(store, project):
    """Return a function that tells how a bead is exported."""

    def find(bead_id: str) -> dict:
        documents = map(json.loads, export_project(store, project.id))
        return next(found for found in documents if found["id"] == bead_id)

    return find


def test_a_bead_goes_out_as_its_tracker_would_write_it(add, document):
    bead = add("Mend the login", description="It is broken.", labels=["ui", "ui"], role="Backend Engineer")
    assert re.fullmatch(r"shop-[0-9a-z]{4}", bead.id)
    assert (bead.status, bead.priority, bead.role_hint) == ("open", 2, "backend-engineer")
    assert document(bead.id) == {
        "_type": "issue",
        "id": bead.id,
        "title": "Mend the login",
        "description": "It is broken.",
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "created_at": "2026-09-25T12:00:00Z",
        "created_by": "ann",
        "updated_at": "2026-09-25T12:00:00Z",
        "labels": ["ui", "role:backend-engineer"],
    }


def test_its_id_has_the_prefix_that_most_beads_of_the_project_have(store, project, add, beads_file):
    lines = [{"id": name, "title": name} for name in ("old-1", "bd-1", "bd-2")]
    import_file(store, project.id, beads_file(*lines))
    assert add().id.startswith("bd-")


def test_two_beads_of_one_title_and_moment_have_two_ids(add):
    assert add().id != add().id


def test_edges_to_and_from_it_block_and_are_exported_once_by_their_owners(store, project, add, document):
    before, after, whole = add("Before"), add("After"), add("Whole", issue_type="epic")
    bead = add(depends_on=[before.id, f"shop/{before.id}"][:1], blocks=[f"shop/{after.id}"], parent=whole.id)
    assert bead.blocked
    assert store.reading.bead(after.key).blocked
    listed = [(edge["depends_on_id"], edge["type"]) for edge in document(bead.id)["dependencies"]]
    assert listed == [(before.id, "blocks"), (whole.id, "parent-child")]
    assert [edge["depends_on_id"] for edge in document(after.id)["dependencies"]] == [bead.id]
    assert "dependencies" not in document(before.id)
    assert store.edits.close(before.key, "") == (bead.id,)


def test_an_edge_of_ours_outlives_the_import_of_the_file_that_does_not_have_it(store, project, add, beads_file):
    path = beads_file({"id": "shop-1", "title": "One"})
    import_file(store, project.id, path)
    add(blocks=["shop-1"])
    import_file(store, project.id, beads_file({"id": "shop-1", "title": "Uno"}))
    assert store.reading.bead(BeadKey(ProjectId("shop"), "shop-1")).blocked


@pytest.mark.parametrize("option", ["depends_on", "blocks"])
def test_an_edge_to_a_bead_that_is_not_there_is_refused(store, project, add, option):
    with pytest.raises(NotFoundError, match="bead 'shop-none'"):
        add(**{option: ["shop-none"]})
    assert store.imports.ids(project.id) == []


def test_an_edge_that_would_close_a_cycle_is_refused_with_its_path(store, project, add):
    first = add("First")
    second = add("Second", depends_on=[first.id])
    with pytest.raises(CycleError, match=rf"shop-x -> {second.id} -> {first.id} -> shop-x"):
        add(id="shop-x", depends_on=[second.id], blocks=[first.id])
    assert store.imports.ids(project.id) == [first.id, second.id]


def test_a_cycle_over_parents_that_are_there_already_is_refused(add):
    grandparent = add("Grandparent")
    parent = add("Parent", parent=grandparent.id)
    with pytest.raises(CycleError):
        add(parent=parent.id, blocks=[grandparent.id])


def test_an_id_of_ones_own_is_taken_and_a_taken_one_refused(add):
    assert add(id="shop-mine").id == "shop-mine"
    with pytest.raises(RefusedError, match="shop-mine already"):
        add(id="shop-mine")


@pytest.mark.parametrize(
    "said", [{"title": ""}, {"title": "x" * 501}, {"priority": 5}, {"id": "a\nb"}, {"id": ""}, {"title": "\ud800"}]
)
def test_what_a_tracker_would_not_take_is_refused(store, project, add, said):
    with pytest.raises(BadInputError, match="the new bead"):
        add(**{"title": "Mend it", **said})
    assert store.imports.ids(project.id) == []
