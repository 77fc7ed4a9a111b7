"""`init`: what it finds out, and the file it writes."""

import os
import subprocess
from pathlib import Path

import pytest

from dispatch.cli.discovering import KNOWN_AGENTS, current_branch, find_test_command
from dispatch.cli.setup import configuration
from dispatch.settings import load_settings


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"Makefile": "all: x\ntest: all\n\ttrue\n"}, "make test"),
        ({"Makefile": "test := x\n", "tox.ini": ""}, "tox"),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "python -m pytest"),
        (
            {"pyproject.toml": '[project]\nname = "x"\n[project.optional-dependencies]\ntest = ["pytest>=8"]\n'},
            "python -m pytest",
        ),
        ({"pyproject.toml": "broken", "package.json": '{"scripts": {"test": "jest"}}'}, "npm test"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, ""),
        ({"package.json": "[]", "Cargo.toml": ""}, "cargo test"),
        ({"go.mod": ""}, "go test ./..."),
        ({"pom.xml": ""}, "mvn --batch-mode test"),
        ({"README.md": ""}, ""),
    ],
)
def test_the_files_of_a_repository_tell_its_test_command(tmp_path, files, command):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert " ".join(find_test_command(tmp_path)) == command


def test_the_branch_that_is_checked_out_is_the_target(repository, tmp_path):
    subprocess.run(["git", "switch", "--quiet", "--create", "trunk"], cwd=repository, check=True)
    assert current_branch(repository) == "trunk"
    assert current_branch(tmp_path) == "main"


def test_init_writes_a_file_that_loads_and_fits_the_repository(cli, repository, monkeypatch, environment):
    monkeypatch.chdir(repository)
    (repository / "go.mod").write_text("")
    said = cli("init")
    assert said.code == 0
    assert "Tests: go test ./..." in said.out
    project = load_settings(environ=environment, cwd=repository).projects["repository"]
    assert (project.path, project.target_branch, project.test_command) == (repository, "main", ("go", "test", "./..."))


def test_init_leaves_an_existing_file_alone(cli, repository, monkeypatch):
    monkeypatch.chdir(repository)
    (repository / "dispatch.toml").write_text("# mine\n")
    said = cli("init")
    assert said.code == 4
    assert "already" in said.err
    assert (repository / "dispatch.toml").read_text() == "# mine\n"


def test_init_can_write_elsewhere(cli, repository, tmp_path, monkeypatch, environment):
    monkeypatch.chdir(repository)
    target = tmp_path / "here.toml"
    assert cli("--config", target, "init").code == 0
    settings = load_settings(config=target, environ=environment, cwd=tmp_path)
    assert settings.projects["repository"].path == repository
    assert cli("--config", tmp_path / "none" / "here.toml", "init").code == 6


def test_agent_programs_on_path_are_named_and_given_as_examples(cli, repository, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(repository)
    assert "Agent programs: codex" in cli("init").out
    text = (repository / "dispatch.toml").read_text()
    assert "# [runners.codex]" in text
    assert "\n[runners" not in text


@pytest.mark.parametrize("agents", [[], list(KNOWN_AGENTS)], ids=["none", "all"])
def test_the_examples_load_once_their_comment_signs_are_gone(tmp_path, agents):
    text = configuration("my.shop", ".", "main", ["make", "test"], agents)
    examples = text.partition("without the `# `.\n")[2]
    uncommented = [line.removeprefix("# ") for line in examples.splitlines()]
    (tmp_path / "dispatch.toml").write_text(text.replace(examples, "\n".join(uncommented)))
    settings = load_settings(environ={}, cwd=tmp_path)
    assert settings.roles["backend-engineer"].runners == (agents[0].name if agents else "mine",)
    assert settings.workers["agents"].concurrency == 2
    assert set(settings.runners) == {agent.name for agent in agents} or {"mine"}
    assert Path(settings.projects["my.shop"].path) == tmp_path
