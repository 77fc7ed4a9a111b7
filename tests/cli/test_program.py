"""How calls end: exit codes, one clean document on standard output, no traceback for what can be foreseen."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from dispatch.cli.program import build
from dispatch.version import VERSION

PROGRAM = [sys.executable, "-c", "from dispatch.cli import main; main()"]


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


ALL = sorted(commands(typer.main.get_command(build())))
NOWHERE = "postgresql://dispatch:secret@127.0.0.1:1/dispatch"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_help_of_every_command_has_an_example(cli, path):
    said = cli(*path, "--help")
    assert said.code == 0
    assert "Example:" in said.out


def test_the_commands_have_the_names_that_the_documentation_promises():
    promised = """
        add adopt agents cancel close config decide demo doctor down export import inbox init pause plan providers ready
        reassign resume retry run runs show status stop tick up why
    """
    assert {*promised.split()} == {path[0] for path in ALL if len(path) == 1}
    groups = {
        "db": "upgrade",
        "lessons": "add forget list search",
        "memory": "forget list recall remember",
        "project": "add list",
        "workflow": "list show start validate",
    }
    grouped = {(group, name) for group, names in groups.items() for name in names.split()}
    assert {path for path in ALL if len(path) == 2} == grouped


def test_without_a_command_the_help_is_shown(cli):
    said = cli()
    assert said.code == 0
    assert "Usage: dispatch" in said.out


def test_the_version_is_told(cli):
    assert cli("--version").out == f"dispatch {VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "dispatch: No such command 'nonsense'. See `dispatch --help`."),
        (["ready", "--nonsense"], "dispatch: No such option: --nonsense. See `dispatch ready --help`."),
        (["add"], "dispatch: Missing argument 'TITLE'. See `dispatch add --help`."),
        (["add", "x", "--priority", "9"], "dispatch: Invalid value for '--priority' / '-p'"),
        (["project"], "dispatch: Missing command. See `dispatch project --help`."),
        (["ready", "--now", "soon"], "dispatch: --now 'soon' is no moment."),
        (["export", "--in-place", "--output", "x"], "dispatch: --output and --in-place exclude each other."),
    ],
)
def test_a_wrong_call_is_told_on_standard_error_with_the_way_to_the_help(cli, arguments, message):
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(message)
    assert said.err.count("\n") == 1


def test_a_wrong_configuration_names_its_line(cli, tmp_path):
    config = tmp_path / "dispatch.toml"
    config.write_text('key_prefix = "x"\nnonsense = 1\n')
    said = cli("--config", config, "status")
    assert said.code == 2
    assert "dispatch.toml:2" in said.err


def test_what_is_not_there_is_another_exit_code(cli):
    said = cli("show", "shop-1")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("dispatch: There is no bead 'shop-1'.")


@pytest.mark.parametrize("arguments", [["status"], ["add", "x"], ["plan"], ["db", "upgrade"]])
def test_a_database_that_is_away_is_named_without_its_password(cli, monkeypatch, arguments):
    monkeypatch.setenv("DISPATCH_DATABASE_URL", NOWHERE)
    said = cli(*arguments)
    assert (said.code, said.out) == (5, "")
    assert said.err.startswith("dispatch: PostgreSQL at postgresql+psycopg://dispatch:***@127.0.0.1:1/dispatch")
    assert "secret" not in said.err
    assert "dispatch doctor" in said.err


def test_a_database_that_was_never_upgraded_is_told_with_its_cure(cli, monkeypatch, database_url):
    monkeypatch.setenv("DISPATCH_DATABASE_URL", re.sub(r"/test_[0-9a-f]+", "/postgres", database_url))
    said = cli("status")
    assert said.code == 5
    assert "Run `dispatch db upgrade`." in said.err


def start(environment: dict[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen([*PROGRAM, *arguments], env=environment, stdin=pipe, stdout=pipe, stderr=pipe)


def test_json_on_standard_output_is_one_document_and_nothing_else(environment, project, beads_file):
    path = beads_file({"id": "shop-1", "title": "One"}, "no json")
    process = start(environment, "import", str(path), "--project", "shop", "--json")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    document = json.loads(out)
    assert document["report"]["created"] == 1
    assert [problem["line"] for problem in document["problems"]] == [2]


def test_an_error_leaves_standard_output_empty(environment):
    process = start(environment, "why", "nobody", "--json")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, b"")
    assert err.startswith(b"dispatch: ")
    assert b"Traceback" not in err


def test_an_interruption_ends_quietly_with_130(environment, project):
    process = start(environment, "import", "/dev/stdin", "--project", "shop")
    assert process.stdin is not None
    # The command has opened standard input once this much of it is gone: a pipe holds less.
    process.stdin.write(b"\n" * 300_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_reader_that_goes_away_is_no_reason_to_complain(environment, store, project, beads_file, cli):
    path = beads_file(*({"id": f"shop-{number}", "title": "x" * 500} for number in range(500)))
    assert cli("import", path, "--project", "shop").code == 0
    process = start(environment, "export", "--project", "shop")
    assert process.stdout is not None
    assert process.stderr is not None
    os.read(process.stdout.fileno(), 1)
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.stdin is not None
    process.stdin.close()
