"""`memory`: what every run of a project is told."""

import json
import re
import shlex
import sys
from io import StringIO
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _project(project):
    """Given the project `shop`."""


def test_a_fact_is_remembered_listed_recalled_and_forgotten(cli):
    assert cli("memory", "remember", "money", "Amounts are\nin cents.").out == "shop remembers money.\n"
    cli("memory", "remember", "style", "Tabs.")
    listed = [line.split("\t")[:2] for line in cli("memory", "list").out.splitlines()]
    assert listed == [["style", "Tabs."], ["money", "Amounts are in cents."]]
    assert cli("memory", "recall", "CENTS", "euros").out.split("\t")[0] == "money"
    assert cli("memory", "forget", "money").out == "shop forgot money.\n"
    assert cli("memory", "list", "--project", "shop").out.split("\t")[0] == "style"


def test_each_of_them_speaks_json(cli):
    made = cli("memory", "remember", "money", "Cents.", "--json").json
    assert (made["project"], made["key"], made["value"]) == ("shop", "money", "Cents.")
    assert cli("memory", "list", "--json").json == cli("memory", "recall", "money", "--json").json == [made]
    assert cli("memory", "forget", "money", "--json").json == {"project": "shop", "key": "money", "forgotten": True}
    assert cli("memory", "list", "--json").json == []


def test_a_long_value_comes_from_standard_input_and_is_listed_short(cli, monkeypatch):
    monkeypatch.setattr(sys, "stdin", StringIO("x" * 5_000 + "\n"))
    cli("memory", "remember", "long", "-")
    assert cli("memory", "list", "--json").json[0]["value"] == "x" * 5_000
    assert len(cli("memory", "list").out) < 300
    assert len(cli("memory", "recall", "long").out) > 4_000


def test_what_a_file_brought_is_shown_whatever_it_is(cli, beads_file):
    line = '{"_type": "memory", "key": "a", "value": ["\\ud800", "\\u0000", {"b": 1.0}]}'
    assert cli("import", beads_file(line)).code == 0
    assert cli("memory", "list", "--json").json[0]["value"] == ["\ufffd", "\0", {"b": 1.0}]
    assert cli("memory", "list").code == 0
    assert cli("export").out == f"{line}\n"


def test_a_forgotten_fact_goes_from_the_tracker_s_file_and_does_not_come_back(cli, repository: Path):
    place = repository / ".beads" / "issues.jsonl"
    place.parent.mkdir()
    before = json.dumps({"_type": "memory", "key": "a", "value": "x"}) + "\n"
    place.write_text(before)
    cli("import", place)
    cli("memory", "forget", "a")
    assert cli("export", "--in-place").code == 0
    assert place.read_text() == ""
    place.write_text(before)
    assert cli("import", place).code == 0
    assert cli("memory", "list").err == (
        "Nothing is remembered about shop; `dispatch memory remember KEY VALUE` does.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("forget", "a"), 3, "dispatch: There is no memory 'a'. `dispatch memory list --project shop` shows all."),
        (
            ("remember", " ", "x"),
            6,
            "the key ' ' is empty, too long, or not plainly printable. Use 1 to 255 characters",
        ),
        (("recall",), 2, "See `dispatch memory recall --help`."),
        (("list", "--project", "nope"), 3, "There is no project 'nope'."),
    ],
)
def test_a_wrong_call_is_told_with_its_cure(cli, arguments, code, says):
    said = cli("memory", *arguments)
    assert said.code == code
    assert says in said.err


def test_the_commands_of_the_page_work(cli):
    page = (Path(__file__).parents[2] / "docs/context.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- example: memory -->\n```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert found
    said = [cli(*shlex.split(line)[1:]) for line in found[1].splitlines()]
    assert [one.code for one in said] == [0, 0, 0, 0]
    assert said[1].out.startswith("money\t")


def test_the_help_of_each_has_an_example(cli):
    for command in ("list", "remember", "recall", "forget"):
        assert f"dispatch memory {command}" in cli("memory", command, "--help").out
