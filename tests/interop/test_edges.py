"""The edges that a line lists."""

from datetime import UTC, datetime

import pytest

from dispatch.interop import dependency_document
from dispatch.models.bead import Dependency


def test_an_edge_is_taken_with_its_type_and_metadata(read_one):
    edge = {"issue_id": "bd-a1", "depends_on_id": "bd-b", "type": "waits-for", "metadata": '{"gate": "any-children"}'}
    entry, problems = read_one(dependencies=[edge])
    (dependency,) = entry.dependencies
    assert (dependency.issue_id, dependency.depends_on_id, dependency.type) == ("bd-a1", "bd-b", "waits-for")
    assert (dependency.any_child_releases, problems) == (True, [])


def test_metadata_that_is_an_object_itself_is_read_as_its_text(read_one):
    edge = {"depends_on_id": "bd-b", "type": "waits-for", "metadata": {"gate": "any-children"}}
    entry, problems = read_one(dependencies=[edge])
    assert (entry.dependencies[0].any_child_releases, problems) == (True, [])


def test_an_edge_without_owner_and_type_is_a_blocking_one_of_the_line_s_bead(read_one):
    entry, problems = read_one(dependencies=[{"depends_on_id": "bd-b"}])
    assert entry.dependencies == (Dependency(issue_id="bd-a1", depends_on_id="bd-b", type="blocks"),)
    assert problems == []


def test_look_alikes_keep_their_type(read_one):
    kinds = ["blocked-by", "blocks-on", "parent", "child-of", "parent_child", "follows"]
    entry, problems = read_one(dependencies=[{"depends_on_id": "bd-b", "type": kind} for kind in kinds])
    assert ([edge.type for edge in entry.dependencies], problems) == (kinds, [])


@pytest.mark.parametrize(
    ("dependencies", "said"),
    [
        ({}, "dependencies is an object; write a list of objects"),
        ("bd-b", "dependencies is a string; write a list of objects"),
        (["bd-b"], "dependency 1 is a string; write an object with depends_on_id and type"),
        ([{"type": "blocks"}], "dependency 1 has no readable depends_on_id; write the id of the bead it leads to"),
        ([{"depends_on_id": 4}], "dependency 1 has no readable depends_on_id; write the id of the bead it leads to"),
        ([{"depends_on_id": " "}], "dependency 1 has no readable depends_on_id; write the id of the bead it leads to"),
        ([{"depends_on_id": "\0"}], "dependency 1 has no readable depends_on_id; write the id of the bead it leads to"),
        (
            [{"depends_on_id": "bd-b", "type": 3}],
            "the type of dependency 1 is a number; write a string, for example blocks",
        ),
    ],
)
def test_an_edge_that_cannot_be_read_refuses_the_line(read_one, dependencies, said):
    entry, (problem,) = read_one(dependencies=dependencies)
    assert entry is None
    assert (str(problem), problem.fatal) == (f"line 1 (bd-a1): {said}", True)


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        (
            [{"depends_on_id": "bd-b", "issue_id": "bd-z"}],
            "dependency 1 says that it belongs to 'bd-z'; write bd-a1 as its issue_id",
        ),
        (
            [{"depends_on_id": "bd-b"}, {"depends_on_id": "bd-b", "type": "blocks"}],
            "dependency 2 is there twice (bd-b as blocks); remove one of the two",
        ),
        ([{"depends_on_id": "bd-b", "type": "x" * 51}], "the type of dependency 1 has 51 characters; use at most 50"),
        (
            [{"depends_on_id": "bd-b", "metadata": 3}],
            "the metadata of dependency 1 is a number; write an object, as JSON in a string",
        ),
        (
            [{"depends_on_id": "bd-b", "metadata": "\0"}],
            "the metadata of dependency 1 holds NUL (\\u0000), shown here as \ufffd; remove it",
        ),
    ],
)
def test_an_odd_edge_is_a_warning_and_counts_once_for_the_bead_of_its_line(read_one, edges, said):
    entry, (problem,) = read_one(dependencies=edges)
    assert (str(problem), problem.fatal) == (f"line 1 (bd-a1): {said}", False)
    assert [(edge.issue_id, edge.depends_on_id) for edge in entry.dependencies] == [("bd-a1", "bd-b")]


def test_one_pair_can_have_edges_of_several_types(read_one):
    edges = [{"depends_on_id": "bd-b", "type": "blocks"}, {"depends_on_id": "bd-b", "type": "related"}]
    entry, problems = read_one(dependencies=edges)
    assert ([edge.type for edge in entry.dependencies], problems) == (["blocks", "related"], [])


def test_a_new_edge_is_written_without_what_is_empty_and_read_back_equal(read_one):
    edge = Dependency(issue_id="bd-a1", depends_on_id="bd-b", type="blocks")
    document = dependency_document(edge, "dispatch", datetime(2026, 1, 2, tzinfo=UTC))
    assert document == {
        "issue_id": "bd-a1",
        "depends_on_id": "bd-b",
        "type": "blocks",
        "created_at": "2026-01-02T00:00:00Z",
        "created_by": "dispatch",
    }
    assert read_one(dependencies=[document])[0].dependencies == (edge,)
