"""`workflow list`, `workflow show`, `workflow validate`."""

from pathlib import Path

import pytest

GOOD = 'name = "release"\nstart = "a"\n[nodes.a]\nrole = "qa"\non = { success = "done" }\n'
BAD = 'name = "release"\nstart = "b"\n[nodes.a]\nrole = "wizard"\non = { success = "done" }\n'


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli) -> Path:
    directory = tmp_path / "flows"
    directory.mkdir()
    monkeypatch.setenv("DISPATCH_WORKFLOWS__DIRECTORY", str(directory))
    return directory


def test_list_shows_every_workflow_and_where_it_is_defined(cli, flows):
    (flows / "mine.toml").write_text(GOOD)

    rows = [line.split("\t") for line in cli("workflow", "list").out.splitlines()]
    listed = cli("workflow", "list", "--json").json

    assert [row[0] for row in rows] == ["bug", "feature", "ui", "self-improvement", "release"]
    assert [row[2] for row in rows] == ["built in"] * 4 + [str(flows / "mine.toml")]
    assert rows[0][1].endswith("For beads by type: bug; label: bug, regression; in the title: bug, crash, regression.")
    assert [one["name"] for one in listed if one["built_in"]] == ["bug", "feature", "ui", "self-improvement"]
    assert (listed[-1]["nodes"], listed[-1]["faults"]) == (["a"], [])


def test_list_shows_a_faulty_one_too(cli, flows):
    (flows / "mine.toml").write_text(BAD)

    said = cli("workflow", "list")

    assert said.code == 0
    assert f'release\tfaulty: {flows / "mine.toml"}:2: it starts at the unknown node "b".' in said.out


def test_show_draws_a_workflow_as_text_as_a_flowchart_and_as_json(cli):
    assert (
        "review (verify: 2 x code-reviewer, all must approve, 3 attempts)\n" in cli("workflow", "show", "feature").out
    )
    assert cli("workflow", "show", "feature", "--mermaid").out.startswith("flowchart TD\n  n0[")

    shown = cli("workflow", "show", "Feature", "--json").json
    assert (shown["name"], shown["start"], shown["cycle_limit"]) == ("feature", "implement", 3)
    assert shown["chosen_by"] == {"types": ["feature"], "labels": ["feature", "enhancement"], "title": []}
    assert [node["name"] for node in shown["nodes"]] == ["implement", "review", "commit"]
    review = shown["nodes"][1]
    assert (review["kind"], review["reviewers"], review["quorum"]) == ("verify", 2, "all")
    assert review["on"] == {"approved": "commit", "rejected": "implement"}


def test_show_of_an_unknown_name_says_which_one_may_be_meant(cli):
    said = cli("workflow", "show", "featur")

    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "dispatch: There is no workflow or bead 'featur'. Did you mean \"feature\"? "
        "There are: bug, feature, self-improvement, ui.\n"
    )


def test_validate_tells_every_fault_of_every_file(cli, tmp_path):
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(GOOD)
    bad.write_text(BAD)

    said = cli("workflow", "validate", good, bad)

    assert said.code == 6
    assert said.out.splitlines() == [
        f'{bad}:2: it starts at the unknown node "b". Name one of its nodes: a.',
        f'{bad}:4: "a" is for the unknown role "wizard". Add [roles.wizard] to dispatch.toml, or name a role that '
        "exists.",
    ]
    assert said.err == "2 definitions, 2 faults.\n"

    told = cli("workflow", "validate", good, bad, "--json")
    assert told.code == 6
    assert [(one["file"], [fault["line"] for fault in one["faults"]]) for one in told.json] == [
        (str(good), []),
        (str(bad), [2, 4]),
    ]


def test_validate_without_a_file_looks_at_all_that_there_are(cli, flows):
    assert (cli("workflow", "validate").code, cli("workflow", "validate").err) == (0, "4 definitions, no fault.\n")

    (flows / "mine.toml").write_text(BAD)
    said = cli("workflow", "validate")
    assert (said.code, said.err) == (6, "5 definitions, 2 faults.\n")


def test_validate_notes_a_role_that_nobody_configured_and_does_not_fail_for_it(cli, tmp_path):
    config, good = tmp_path / "dispatch.toml", tmp_path / "good.toml"
    config.write_text("[roles.backend-engineer]\n")
    good.write_text(GOOD)

    said = cli("--config", config, "workflow", "validate", good)

    assert (said.code, said.out) == (0, "")
    assert said.err == (
        f"{good}: note: a is for qa-engineer, and dispatch.toml has no such role.\n1 definition, no fault.\n"
    )


def test_a_faulty_definition_keeps_show_from_its_work_and_is_named(cli, flows):
    (flows / "mine.toml").write_text(BAD)

    said = cli("workflow", "show", "bug")

    assert said.code == 6
    assert f"{flows / 'mine.toml'}:2:" in said.err
