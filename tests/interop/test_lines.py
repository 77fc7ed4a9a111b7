"""Lines that are no JSON object, each with its own word; and large ones that are fine."""

import pytest

from dispatch.interop import BeadEntry, read_entries
from dispatch.interop.lines import MAX_LINE, MAX_NESTING

START = b'{"id": "bd-a1", "title": "Fix it", "x": '


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            b'{"id": "bd-a1", "title" 3}',
            "is not JSON (Expecting ':' delimiter at column 25); repair or remove the line",
        ),
        (b'  {"id": }', "is not JSON (Expecting value at column 10); repair or remove the line"),
        (b'\xef\xbb\xbf{"id": }', "is not JSON (Expecting value at column 9); repair or remove the line"),
        (START + b"1} {}", "is not JSON (Extra data at column 44); repair or remove the line"),
        (START + b'"a\tb"}', "is not JSON (Invalid control character at at column 43); repair or remove the line"),
        (b"<<<<<<< HEAD", "is the mark of a merge conflict; resolve the conflict"),
        (b"=======", "is the mark of a merge conflict; resolve the conflict"),
        (b"[]", "is a list; write one JSON object a line"),
        (b"null", "is null; write one JSON object a line"),
        (b"true", "is a boolean; write one JSON object a line"),
        (b'"bd-a1"', "is a string; write one JSON object a line"),
        (b'{"id": "bd-\xff"}', "is not UTF-8 from byte 12 on; save the file as UTF-8"),
        (b'{"id": "\xed\xa0\x80"}', "is not UTF-8 from byte 9 on; save the file as UTF-8"),
        (b'{"id": "bd-\0"}', "holds a raw NUL at byte 12; remove it, or write \\u0000"),
        (START + b"NaN}", "holds NaN, which JSON does not have; write null or a number"),
        (START + b"-Infinity}", "holds -Infinity, which JSON does not have; write null or a number"),
        (START + b"9" * 5000 + b"}", "holds an integer of thousands of digits; write it as a string"),
        (START + b"[" * 100_000, "is nested more than 200 levels deep; flatten it"),
        (START + b"[" * 100_000 + b"]" * 100_000 + b"}", "is nested more than 200 levels deep; flatten it"),
        (START + b"[" * MAX_NESTING + b"]" * MAX_NESTING + b"}", "is nested more than 200 levels deep; flatten it"),
    ],
)
def test_a_line_that_is_no_json_object_is_refused(line, said):
    (problem,) = read_entries([line])
    assert (str(problem), problem.fatal) == (f"line 1: {said}", True)


def test_the_deepest_legal_line_and_a_wide_one_are_read():
    depth = MAX_NESTING - 1
    deep = START + b"[" * depth + b"]" * depth + b"}"
    wide = START + b"[" + b"[]," * 1000 + b"[]]}"
    assert [type(entry) for entry in read_entries([deep, wide.replace(b"a1", b"a2")])] == [BeadEntry, BeadEntry]


def test_a_line_of_258_kilobytes_is_an_ordinary_one():
    (entry,) = read_entries([START + b'"' + b"x" * 258_000 + b'"}'])
    assert len(entry.document["x"]) == 258_000


def test_a_line_of_exactly_64_megabytes_is_read_and_a_longer_one_is_skipped(tmp_path):
    path = tmp_path / "issues.jsonl"
    filler = b"x" * (MAX_LINE - len(START) - 3)
    with path.open("wb") as file:
        file.write(START + b'"' + filler + b'"}\r\n')
        file.write(START.replace(b"a1", b"a2") + b'"' + filler + b'y"}\n')
        file.write(START.replace(b"a1", b"a3") + b'"' + filler + filler + b'"}\n')
        file.write(START.replace(b"a1", b"a4") + b"1}")
    whole, longer, longest, last = read_entries(path)
    assert len(whole.text) == MAX_LINE
    assert str(longer) == "line 2: is longer than 64 MB; shorten the bead or remove the line"
    assert (longer.fatal, longest.line, longest.problem) == (True, 3, longer.problem)
    assert (last.line, last.bead.id) == (4, "bd-a4")
