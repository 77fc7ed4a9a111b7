"""The definitions of a deployment: built in, replaced, added, refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from dispatch.errors import BadInputError
from dispatch.models.workflow import Workflow
from dispatch.routing import role_names
from dispatch.settings import Settings, WorkflowSettings
from dispatch.workflow.library import BUILT_IN, fingerprint, load_workflows, read_definitions

TEXT = 'name = "{name}"\nstart = "{node}"\n[nodes.{node}]\non = {{ success = "done" }}\n'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "flows"
    made.mkdir()
    return made


def settings_of(directory: Path | None) -> Settings:
    return Settings(home=Path("/nowhere"), workflows=WorkflowSettings(directory=directory))


def loaded(directory: Path | None) -> dict[str, Workflow]:
    settings = settings_of(directory)
    return dict(load_workflows(settings, role_names(settings)))


def write(directory: Path, file: str, **words: str) -> Path:
    path = directory / file
    path.write_text(TEXT.format(**{"name": path.stem, "node": "a", **words}), encoding="utf-8")
    return path


def test_without_a_directory_there_are_the_built_in_ones() -> None:
    assert tuple(loaded(None)) == BUILT_IN


def test_every_definition_in_the_directory_counts_and_one_of_a_built_in_name_replaces_that(directory: Path) -> None:
    write(directory, "release.toml")
    write(directory, "ours.toml", name="bug", node="mend")
    write(directory, "notes.txt")
    (directory / "more.toml").mkdir()

    workflows = loaded(directory)

    assert sorted(workflows) == ["bug", "feature", "release", "self-improvement", "ui"]
    assert list(workflows["bug"].nodes) == ["mend"]


def test_definitions_are_read_in_the_order_of_their_files(directory: Path) -> None:
    names = [f"{letter}{number}" for letter in "qahzc" for number in (3, 1, 2)]
    for name in names:
        write(directory, f"{name}.toml")

    assert list(loaded(directory))[len(BUILT_IN) :] == sorted(names)


def test_a_faulty_definition_is_refused_with_its_first_fault(directory: Path) -> None:
    path = write(directory, "release.toml", node="b")
    path.write_text(f"{path.read_text()}role = 'wizard'\ncolor = 'red'\n")

    with pytest.raises(BadInputError) as refused:
        loaded(directory)

    assert str(refused.value) == (
        f'{path}:5: "b" is for the unknown role "wizard". Add [roles.wizard] to dispatch.toml, or name a role that '
        "exists. `dispatch workflow validate` tells all 2 faults."
    )


def test_a_faulty_definition_of_a_built_in_name_does_not_bring_the_built_in_one_back(directory: Path) -> None:
    path = write(directory, "ours.toml", name="bug")
    path.write_text(f"{path.read_text()}color = 'red'\n")
    settings = settings_of(directory)

    read = read_definitions(settings, role_names(settings))

    assert [(one.name, one.is_built_in, bool(one.faults)) for one in read if one.name == "bug"] == [
        ("bug", False, True)
    ]


def test_two_files_of_one_name_are_a_fault_of_the_second(directory: Path) -> None:
    first, second = write(directory, "a.toml", name="same"), write(directory, "b.toml", name="same")

    with pytest.raises(BadInputError) as refused:
        loaded(directory)

    assert str(refused.value) == (
        f'{second}:1: the name "same" is that of {first} already. Give one of them another name.'
    )


def test_a_directory_that_is_gone_is_named(directory: Path) -> None:
    directory.rmdir()

    with pytest.raises(BadInputError, match="flows:1: cannot be read"):
        loaded(directory)


def test_a_configured_role_may_be_named_by_its_own_words(directory: Path) -> None:
    path = write(directory, "release.toml")
    path.write_text(f"{path.read_text()}role = 'Release Boss'\n")
    settings = Settings.model_validate(
        {
            "home": Path("/nowhere"),
            "workflows": {"directory": directory},
            "roles": {"releaser": {"aliases": ["release-boss"]}},
        }
    )

    workflow = load_workflows(settings, role_names(settings))["release"]

    assert workflow.nodes["a"].role == "releaser"


def test_the_fingerprint_tells_definitions_apart_and_not_their_order() -> None:
    workflows = loaded(None)
    changed = {**workflows, "bug": replace(workflows["bug"], labels=("other",))}

    assert fingerprint(workflows) == fingerprint(dict(reversed(workflows.items())))
    assert fingerprint(workflows) != fingerprint(changed)
    assert fingerprint({}) != fingerprint(workflows)
