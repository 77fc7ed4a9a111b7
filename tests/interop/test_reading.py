"""What a file yields: beads, memories, and problems in their place."""

import json

import pytest

from dispatch.errors import BadInputError
from dispatch.interop import BeadEntry, MemoryEntry, Problem, read_entries

GOOD = b'{"id": "bd-a1", "title": "Fix it"}'


def kinds(entries):
    return [type(entry).__name__ for entry in entries]


def test_the_text_of_an_entry_is_its_line_letter_for_letter():
    line = '{ "id":"bd-a1" ,"title":"Gr\\u00fc\u00dfe", "n": 1.10, "x": 12345678901234567890.5}'
    (entry,) = read_entries([line.encode() + b"\n"])
    assert (entry.line, entry.text, entry.document) == (1, line, json.loads(line))
    assert (entry.bead.id, entry.bead.title, entry.bead.project_id) == ("bd-a1", "Gr\u00fc\u00dfe", "")


def test_headers_and_blank_lines_yield_nothing_and_are_counted():
    entries = list(read_entries([b'{"_schema": 3}\n', b"\n", b"  \r\n", GOOD]))
    assert [(type(entry), entry.line) for entry in entries] == [(BeadEntry, 4)]


def test_a_bead_that_has_a_schema_field_is_still_a_bead():
    assert kinds(read_entries([b'{"_schema": 3, "id": "bd-a1", "title": "Fix it"}'])) == ["BeadEntry"]


@pytest.mark.parametrize("marked", [b'"_type": "issue"', b'"_type": null', b'"_type": ""'])
def test_issue_lines_are_beads_with_or_without_their_type(marked):
    assert kinds(read_entries([b'{"id": "bd-a1", "title": "Fix it", ' + marked + b"}"])) == ["BeadEntry"]


def test_a_memory_is_kept_apart_from_the_beads():
    line = b'{"_type": "memory", "key": "style", "value": "tabs"}'
    assert list(read_entries([line])) == [MemoryEntry(1, "style", "tabs", line.decode())]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"_type": "memory", "value": "x"}', "line 1: this memory has no key; write one"),
        (b'{"_type": "memory", "key": 7, "value": "x"}', "line 1: key is a number; write a string"),
        (b'{"_type": "wish", "id": "bd-a1"}', "line 1: _type is 'wish'; only issue and memory are known"),
    ],
)
def test_a_line_of_another_kind_is_refused(line, said):
    (problem,) = read_entries([line])
    assert (str(problem), problem.fatal) == (said, True)


def test_byte_order_marks_and_windows_line_ends_are_no_part_of_the_text():
    first, second = read_entries([b"\xef\xbb\xbf" + GOOD + b"\r\n", GOOD.replace(b"a1", b"a2") + b"\r\n"])
    assert (first.text, second.bead.id) == (GOOD.decode(), "bd-a2")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_told_once(tmp_path, encoding):
    path = tmp_path / "issues.jsonl"
    path.write_bytes("\n".join([GOOD.decode()] * 5).encode(encoding))
    (problem,) = read_entries(path)
    assert str(problem) == "line 1: the file is not UTF-8 but UTF-16 or UTF-32; save it as UTF-8"
    assert problem.fatal


def test_of_two_beads_with_one_id_the_later_counts_and_both_lines_are_named():
    first, warning, second = read_entries([GOOD, GOOD.replace(b"Fix", b"Mend")])
    assert (first.bead.title, second.bead.title) == ("Fix it", "Mend it")
    said = "line 2 (bd-a1): the id is on line 1 too, and this later line counts; remove one of the two"
    assert (str(warning), warning.fatal) == (said, False)


def test_a_refused_line_does_not_count_as_the_first_of_two():
    refused, bead = read_entries([b'{"id": "bd-a1", "title": 3}', GOOD])
    assert refused.fatal
    assert bead.bead.id == "bd-a1"


@pytest.mark.parametrize("value", [["a", {"b": None}], {"c": 1.0}, 7, True, None, ""])
def test_a_memory_holds_any_json(value):
    line = json.dumps({"_type": "memory", "key": "k", "value": value}).encode()
    assert list(read_entries([line])) == [MemoryEntry(1, "k", value, line.decode())]


def test_a_memory_key_that_comes_twice_is_told():
    line = b'{"_type": "memory", "key": "k", "value": "v"}'
    assert kinds(read_entries([line, line])) == ["MemoryEntry", "Problem", "MemoryEntry"]


def test_all_that_is_wrong_with_a_line_is_told_at_once():
    entries = list(read_entries([b'{"id": "bd-a1", "title": 3, "priority": "high", "labels": "ui"}']))
    assert [str(entry) for entry in entries] == [
        "line 1 (bd-a1): title is a number; write a string",
        "line 1 (bd-a1): priority is a string; write an integer from 0 (highest) to 4",
        "line 1 (bd-a1): labels is a string; write a list of strings",
    ]


def test_reading_goes_on_after_a_bad_line(tmp_path):
    path = tmp_path / "issues.jsonl"
    path.write_bytes(b"{\n" + GOOD)
    assert [(type(entry), entry.line) for entry in read_entries(path)] == [(Problem, 1), (BeadEntry, 2)]


def test_lines_are_read_as_they_are_needed():
    def lines():
        yield GOOD
        raise AssertionError("the second line was asked for")

    assert next(read_entries(lines())).bead.id == "bd-a1"


@pytest.mark.parametrize(("name", "cause"), [("none.jsonl", "No such file or directory"), (".", "Is a directory")])
def test_a_path_that_is_no_file_is_bad_input(tmp_path, name, cause):
    path = tmp_path / name
    with pytest.raises(BadInputError) as raised:
        list(read_entries(str(path)))
    assert str(raised.value) == f"{path}: cannot be read ({cause}). Name a beads file, *.jsonl."


@pytest.mark.parametrize(
    ("line", "bead_id", "said"),
    [(12, "bd-a1", "line 12 (bd-a1): p; c"), (12, None, "line 12: p; c"), (None, "bd-a1", "bd-a1: p; c")],
)
def test_a_problem_names_what_it_knows_of_its_place(line, bead_id, said):
    assert str(Problem(line, bead_id, "p", "c", fatal=True)) == said
    assert str(Problem(None, None, "p", "c", fatal=True)) == "p; c"
