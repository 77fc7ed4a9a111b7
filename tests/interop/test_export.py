"""A stored line with our changes in it."""

import json

import pytest

from dispatch.interop import document_text, export_line

TEXT = '{ "id":"bd-a1", "title" : "Gr\\u00fc\u00dfe \\ud800", "big": 1e999, "exact": 0.10000000000000000001, "n":1 }'
EDGE = {"issue_id": "bd-a1", "depends_on_id": "bd-b", "type": "blocks"}


def test_without_a_difference_the_very_text_comes_back():
    assert export_line(TEXT, {}) is TEXT
    assert export_line(TEXT, {"n": 1, "missing": None}) is TEXT


def test_what_is_not_changed_keeps_its_spelling():
    text = export_line(TEXT, {"n": 2})
    assert text == (
        '{"id":"bd-a1","title":"Gr\\u00fc\u00dfe \\ud800","big":1e999,"exact":0.10000000000000000001,"n":2}'
    )


def test_a_field_is_removed_by_none_and_added_where_a_tracker_writes_it():
    text = '{"id":"bd-a1","title":"x","status":"open","notes_of_ours":1,"labels":["ui"]}'
    changed = export_line(text, {"closed_at": "then", "labels": None, "unknown": [1], "priority": 0})
    assert list(json.loads(changed).items()) == [
        ("id", "bd-a1"),
        ("title", "x"),
        ("status", "open"),
        ("priority", 0),
        ("closed_at", "then"),
        ("notes_of_ours", 1),
        ("unknown", [1]),
    ]


def test_false_and_zero_are_different_values():
    assert json.loads(export_line('{"pinned":0}', {"pinned": False})) == {"pinned": False}
    assert export_line('{"pinned":0}', {"pinned": False}) == '{"pinned":false}'


def test_of_a_name_that_comes_twice_the_last_is_kept_and_patched():
    text = '{"id":"a","status":"x","status":"y"}'
    assert export_line(text, {"id": "b"}) == '{"id":"b","status":"y"}'
    assert export_line(text, {"status": "z"}) == '{"id":"a","status":"z"}'


@pytest.mark.parametrize(
    "listed",
    [
        "",
        ',"dependencies":null',
        ',"dependencies":[]',
        ',"dependencies":[ ]',
        ',"dependencies":[ {"depends_on_id":"c"} ]',
    ],
)
def test_our_edges_are_added_to_those_that_the_bead_lists(listed):
    text = '{"id":"bd-a1"' + listed + "}"
    before = json.loads(text).get("dependencies") or []
    assert json.loads(export_line(text, {}, [EDGE])) == {"id": "bd-a1", "dependencies": [*before, EDGE]}


def test_an_edge_that_is_listed_already_is_not_added_again():
    text = document_text({"id": "bd-a1", "dependencies": [EDGE | {"created_by": "ann"}]})
    assert export_line(text, {}, [EDGE]) is text
    untyped = '{"dependencies":[{"depends_on_id":"bd-b"}]}'
    assert export_line(untyped, {}, [EDGE]) is untyped
    assert len(json.loads(export_line(text, {}, [EDGE | {"type": "related"}]))["dependencies"]) == 2


def test_our_edges_are_added_to_a_list_that_is_changed_as_well():
    text = document_text({"dependencies": [EDGE]})
    assert json.loads(export_line(text, {"dependencies": None}, [EDGE])) == {"dependencies": [EDGE]}
    assert json.loads(export_line(text, {"dependencies": []}, [EDGE])) == {"dependencies": [EDGE]}


def test_new_text_can_always_be_written_as_utf_8():
    text = export_line('{"id":"a"}', {"close_reason": "gr\u00fcn \udcff\0"})
    assert text == '{"id":"a","close_reason":"gr\u00fcn \\udcff\\u0000"}'
    assert json.loads(text.encode())["close_reason"] == "gr\u00fcn \udcff\0"


def test_a_text_that_is_no_object_is_refused():
    with pytest.raises(ValueError, match="no JSON object"):
        export_line("[]", {})
