"""The lines of keys, in TOML as awkward as it may be."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from dispatch.settings.toml_lines import KeyPath, key_lines

TOP = Path(__file__).parents[2]


def parsed_keys(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Return every table and key of parsed TOML; the tables of arrays have their number for a key."""
    keys = {path} if path else set()
    if isinstance(value, dict):
        keys |= {key for name, inner in value.items() for key in parsed_keys(inner, (*path, name))}
    if isinstance(value, list):
        for number, inner in enumerate(value):
            element = (*path, str(number))
            keys |= {key for key in parsed_keys(inner, element) if key != element or isinstance(inner, dict)}
    return keys


AWKWARD = '''# [not.a.table]
top = "a = 1 # no comment"   # b = 2
"quoted key" = 'literal "with" = [brackets]'
a.b . "c.d" = 1
text = """
[inside]
key = "value" \\""" still inside
"""
ends_in_quotes = """two quotes""\"""
literal = \'\'\'
x = 1
\'\'\'
[ table . "with space" ]
list = [
    "one", # comment ]
    { inline = 1, more = { deep = "}" } },
    [ "nested", ],
]
date = 1979-05-27T07:32:00Z
number = 1.5
"esc\\u0061ped" = true
[[many]]
first = 1
[[many]]
second = 2
[many.sub]
third = {}
'''


def test_every_key_of_awkward_toml_is_found_at_its_line():
    lines = key_lines(AWKWARD)
    assert set(lines) == parsed_keys(tomllib.loads(AWKWARD))
    written = AWKWARD.splitlines()
    assert {path: written[line - 1].split("=")[0].strip() for path, line in lines.items() if len(path) == 1} == {
        ("top",): "top",
        ("quoted key",): '"quoted key"',
        ("a",): 'a.b . "c.d"',
        ("text",): "text",
        ("ends_in_quotes",): "ends_in_quotes",
        ("literal",): "literal",
        ("table",): '[ table . "with space" ]',
        ("many",): "[[many]]",
    }
    table = ("table", "with space")
    assert written[lines[(*table, "list", "1", "more", "deep")] - 1].strip().startswith("{ inline")
    assert written[lines[(*table, "escaped")] - 1].startswith('"esc')
    assert written[lines[("many", "1")] - 2 : lines[("many", "1", "second")]] == ["first = 1", "[[many]]", "second = 2"]
    assert written[lines[("many", "1", "sub", "third")] - 1] == "third = {}"


def test_the_projects_own_toml_is_read_as_the_parser_reads_it():
    text = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    assert set(key_lines(text)) == parsed_keys(tomllib.loads(text))


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "a = 1", "[a]", "a = {}", "a = []"])
def test_small_texts_end_where_they_end(text: str):
    assert set(key_lines(text)) == parsed_keys(tomllib.loads(text))
