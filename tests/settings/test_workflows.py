"""Where definitions of workflows are, and which beads begin one."""

import pytest

from dispatch.errors import ConfigurationError
from dispatch.settings import WorkflowChoice, explain


def test_the_directory_is_relative_to_the_file_and_each_project_says_which_beads_begin_one(read, tmp_path):
    (tmp_path / "flows").mkdir()

    settings = read('[workflows]\ndirectory = "flows"\n[projects.shop]\nworkflows = "auto"')

    assert settings.workflows.directory == tmp_path / "flows"
    assert settings.project("shop").workflows is WorkflowChoice.AUTO
    assert settings.project("other").workflows is WorkflowChoice.LABELLED
    shown = {line.key: (line.value, line.origin) for line in explain(settings)}
    assert shown["workflows.directory"] == (f'"{tmp_path / "flows"}"', "dispatch.toml:2")
    assert shown["projects.shop.workflows"] == ('"auto"', "dispatch.toml:4")


@pytest.mark.parametrize("text", ["", '[workflows]\ndirectory = ""'])
def test_without_a_directory_there_are_only_the_built_in_ones(read, text):
    settings = read(text)

    assert settings.workflows.directory is None
    assert 'workflows.directory = ""' in [f"{line.key} = {line.value}" for line in explain(settings)]


def test_the_environment_may_name_it(read, tmp_path):
    assert read("", {"DISPATCH_WORKFLOWS__DIRECTORY": str(tmp_path)}).workflows.directory == tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[workflows]\ndirectory = "flows"',
            "dispatch.toml:2: there is no directory {directory}/flows with definitions of workflows. Make it, or "
            "correct the path; it is relative to the configuration file.",
        ),
        (
            '[workflows]\ndirectry = "flows"',
            'dispatch.toml:2: unknown key "directry" in [workflows]. Did you mean "directory"?',
        ),
        (
            '[projects.shop]\nworkflows = "label"',
            'dispatch.toml:2: projects.shop.workflows = "label" is not one of labelled, auto, off. Did you mean '
            '"labelled"?',
        ),
    ],
)
def test_a_wrong_setting_is_told_with_its_line(read, tmp_path, text, message):
    with pytest.raises(ConfigurationError) as refused:
        read(text)

    assert str(refused.value) == message.format(directory=tmp_path)
