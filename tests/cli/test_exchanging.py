"""`import` and `export`, from the command line to the file."""

import json
from pathlib import Path

import pytest

ONE = {"id": "shop-1", "title": "One", "priority": 1, "updated_at": "2026-01-01T00:00:00Z"}
LEFT = {"id": "shop-2", "title": "Two", "priority": 1, "status": "in_progress"}


@pytest.fixture
def tracker_file(repository: Path, beads_file) -> Path:
    """Given a repository with a beads file in its place."""
    (repository / ".beads").mkdir()
    return beads_file(ONE, LEFT, path=repository / ".beads" / "issues.jsonl")


def test_an_import_says_what_it_did_and_a_second_one_changes_nothing(cli, project, tracker_file):
    first = cli("import", tracker_file, "--project", "shop")
    assert first.code == 0
    assert first.out.startswith("shop: 2 new, 0 changed, 0 unchanged")
    assert "In progress, but no run here holds them: shop-2. `dispatch adopt` opens them." in first.err
    report = cli("import", tracker_file, "--project", "shop", "--json").json["report"]
    assert report == {"created": 0, "updated": 0, "unchanged": 2, "older": 0, "memories": 0, "kept": []}


def test_a_line_that_is_refused_is_told_and_the_rest_imported(cli, project, beads_file):
    said = cli("import", beads_file(ONE, {"id": "shop-3", "title": 5}, {**LEFT, "priority": "high"}))
    assert said.code == 0
    assert "refused: line 2 (shop-3): title is a number; write a string\n" in said.err
    assert said.out.endswith("2 lines refused\n")


def test_a_strict_import_refuses_the_whole_file(cli, project, beads_file):
    said = cli("import", beads_file(ONE, "no json"), "--strict")
    assert (said.code, said.out) == (6, "")
    assert "Nothing was imported" in said.err
    assert cli("ready", "--json").json == []


def test_many_problems_are_counted_and_all_of_them_are_in_the_json(cli, project, beads_file):
    path = beads_file(ONE, *({"id": f"bad-{number}"} for number in range(60)))
    assert "... and 10 more; --json lists all." in cli("import", path).err
    assert len(cli("import", path, "--json").json["problems"]) == 60


def test_a_file_that_is_not_there_is_bad_input(cli, project):
    said = cli("import", "none.jsonl")
    assert said.code == 6
    assert said.err.startswith("dispatch: none.jsonl: cannot be read")


def test_an_export_to_standard_output_is_the_file_itself(cli, project, tracker_file):
    cli("import", tracker_file)
    said = cli("export", "--project", "shop")
    assert (said.out, said.err) == (tracker_file.read_text(), "")


def test_an_export_to_a_file_leaves_standard_output_alone(cli, project, tracker_file, tmp_path):
    cli("import", tracker_file)
    target = tmp_path / "out.jsonl"
    said = cli("export", "--output", target)
    assert (said.code, said.out) == (0, "")
    assert target.read_bytes() == tracker_file.read_bytes()


@pytest.mark.parametrize("name", ["issues.jsonl", "beads.jsonl"])
def test_an_export_in_place_writes_the_tracker_s_own_file(cli, project, repository, beads_file, name):
    (repository / ".beads").mkdir()
    path = beads_file(ONE, path=repository / ".beads" / name)
    cli("import", path)
    cli("close", "shop-1", "--reason", "done")
    assert cli("export", "--in-place").code == 0
    assert json.loads(path.read_text())["status"] == "closed"
    assert [found.name for found in (repository / ".beads").iterdir()] == [name]


def test_an_export_in_place_makes_the_file_where_there_is_only_its_directory(cli, project, repository):
    (repository / ".beads").mkdir()
    cli("add", "One", "--id", "shop-1")
    assert cli("export", "--in-place").code == 0
    assert json.loads((repository / ".beads" / "issues.jsonl").read_text())["id"] == "shop-1"


def test_an_export_in_place_needs_the_tracker_s_directory(cli, project):
    said = cli("export", "--in-place")
    assert said.code == 3
    assert ".beads" in said.err


def test_an_export_in_place_never_loses_what_was_not_imported(cli, project, tracker_file, beads_file):
    cli("import", tracker_file)
    before = beads_file(ONE, {**LEFT, "title": "Due"}, {"id": "shop-9", "title": "New"}, path=tracker_file).read_bytes()
    said = cli("export", "--in-place")
    assert said.code == 4
    assert "holds changes that were never imported (shop-2, shop-9)" in said.err
    assert "dispatch import" in said.err
    assert tracker_file.read_bytes() == before
