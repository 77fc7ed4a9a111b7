"""`init`: what it finds out, and the file it writes."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from dispatch.cli.answering import ask_version
from dispatch.cli.discovering import current_branch, find_test_command
from dispatch.cli.setup import configuration
from dispatch.settings import KNOWN_PROGRAMS, load_settings


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


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Given a way to put a program of that name on PATH, a shell script."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}/usr/bin:/bin")

    def put(name, script):
        program = directory / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return put


def test_agent_programs_that_answer_get_their_preset_as_an_example(cli, repository, monkeypatch, on_path):
    on_path("codex", 'test "$*" = --version && echo codex-cli 1.2.3')
    on_path("opencode", "echo no binary >&2; exit 3")
    monkeypatch.chdir(repository)
    said = cli("init").out
    assert "Agent programs: codex (codex-cli 1.2.3); opencode, which ends with 3" in said
    assert "no binary" in said
    text = (repository / "dispatch.toml").read_text()
    assert '# [runners.codex]\n# preset = "codex"' in text
    assert '# runners = ["codex"]' in text
    assert "[runners.opencode]" not in text
    assert "\n[runners" not in text


def test_a_program_that_hangs_when_asked_is_ended_with_all_it_started(tmp_path, on_path):
    pids = tmp_path / "pids"
    on_path("codex", f"echo $$ > {pids}; sleep 600 & echo $! >> {pids}; wait")
    assert ask_version(["codex"], limit=1).problem == "says no version within 1 s"
    started = [psutil.Process(pid) for pid in map(int, pids.read_text().split()) if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(started, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_program_is_asked_without_the_options_of_its_run_and_without_our_configuration(on_path):
    program = on_path("mine", 'test "$*" = "exec --version" && echo "${DISPATCH_DATABASE_URL:-1.0}"')
    environ = {"PATH": "/usr/bin:/bin", "DISPATCH_DATABASE_URL": "secret"}
    assert ask_version([str(program), "exec", "--model", "x"], environ=environ).version == "1.0"
    assert "cannot be started" in ask_version(["./nonesuch"], base=program.parent).problem


@pytest.mark.parametrize("agents", [[], list(KNOWN_PROGRAMS)], ids=["none", "all"])
def test_the_examples_load_once_their_comment_signs_are_gone(tmp_path, agents):
    text = configuration("my.shop", ".", "main", ["make", "test"], agents)
    examples = text.partition("without the `# `.\n")[2]
    uncommented = [line.removeprefix("# ") for line in examples.splitlines()]
    (tmp_path / "dispatch.toml").write_text(text.replace(examples, "\n".join(uncommented)))
    settings = load_settings(environ={}, cwd=tmp_path)
    assert settings.roles["backend-engineer"].runners == (agents[0] if agents else "mine",)
    assert settings.workers["agents"].concurrency == 2
    assert set(settings.runners) == set(agents) or {"mine"}
    assert [settings.runners[agent].command_line for agent in agents] == [(agent,) for agent in agents]
    assert Path(settings.projects["my.shop"].path) == tmp_path
