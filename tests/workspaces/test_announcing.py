"""The command that opens a pull request: its arguments, its answers, and what is typed where there is none."""

import json
import sys

import pytest

from dispatch.models.landing import PullRequest
from dispatch.workspaces import Announcement, announce, announcing

PUSHED = PullRequest(
    branch="bead/shop-1", base="main", head_sha="a", pushed_sha="b", tip_sha="c", is_pushed=True, seen_sha="b"
)
SAID = Announcement(
    title="Mend the 'basket'; rm -rf $HOME\n", body="It is `broken`.\n\nBead: shop/shop-1", bead="shop/shop-1"
)


@pytest.fixture
def stand_in(tmp_path):
    """A program in the place of gh: it keeps what it was given, and answers as told."""

    def make(answer: str, code: int = 0) -> tuple[str, ...]:
        script = tmp_path / "gh.py"
        script.write_text(f"""
import json, os, pathlib, sys
given = {{"argv": sys.argv[1:], "env": sorted(os.environ), "cwd": os.getcwd()}}
given["files"] = [pathlib.Path(one).read_text() for one in sys.argv[1:] if one.endswith(".md")]
pathlib.Path({str(tmp_path / "given.json")!r}).write_text(json.dumps(given))
print({answer!r}, file=sys.stderr if {code} else sys.stdout)
raise SystemExit({code})
""")
        return (sys.executable, str(script))

    return make


def given(tmp_path):
    return json.loads((tmp_path / "given.json").read_text())


def test_each_placeholder_is_one_argument_and_no_shell_reads_it(tmp_path, stand_in, monkeypatch):
    monkeypatch.setenv("DISPATCH_DATABASE_URL", "secret")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GH_TOKEN", "token")
    command = (*stand_in("https://forge.example/shop/pull/7"), "{branch}", "{base}", "{title}", "{body}", "{bead}", "x")

    opened = announce(PUSHED, SAID, (*command, "{body_file}"), tmp_path)

    assert opened.url == "https://forge.example/shop/pull/7"
    assert (opened.command, opened.problem) == ("", "")
    argv = given(tmp_path)["argv"]
    assert argv[:6] == ["bead/shop-1", "main", "Mend the 'basket'; rm -rf $HOME", SAID.body, "shop/shop-1", "x"]
    assert given(tmp_path)["files"] == [SAID.body]
    assert given(tmp_path)["cwd"] == str(tmp_path)
    seen = set(given(tmp_path)["env"])
    assert "GH_TOKEN" in seen
    assert not {"DISPATCH_DATABASE_URL", "GIT_DIR"} & seen


def test_one_that_is_there_already_is_as_good(tmp_path, stand_in):
    answer = 'a pull request for branch "bead/shop-1" into branch "main" already exists:\nhttps://forge.example/pull/7'
    opened = announce(PUSHED, SAID, stand_in(answer, 1), tmp_path)
    assert (opened.url, opened.problem) == ("https://forge.example/pull/7", "")
    assert str(opened) == "Its pull request waits to be merged into main: https://forge.example/pull/7"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("no-such-program",), "no-such-program cannot be started"),
        ((sys.executable, "-c", "import sys; sys.exit('not logged in')"), "ended with 1: not logged in"),
        ((sys.executable, "-c", "raise SystemExit(4)"), "ended with 4: it said nothing"),
    ],
)
def test_one_that_fails_says_why_and_loses_nothing(tmp_path, command, problem):
    opened = announce(PUSHED, SAID, command, tmp_path)
    assert problem in opened.problem
    assert opened.url == ""
    assert str(opened).startswith("Its branch bead/shop-1 is pushed, but opening its pull request failed: ")


def test_one_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(announcing, "COMMAND_TIMEOUT", 0.2)
    assert "did not end within 0.2 s" in announce(PUSHED, SAID, ("sleep", "60"), tmp_path).problem


def test_where_gh_is_installed_it_is_the_command(tmp_path, monkeypatch):
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/given\necho https://forge.example/pull/9\n')
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert announce(PUSHED, SAID, (), tmp_path).url == "https://forge.example/pull/9"

    argv = (tmp_path / "given").read_text().splitlines()
    assert argv[:6] == ["pr", "create", "--head", "bead/shop-1", "--base", "main"]
    assert argv[6:9] == ["--title", "Mend the 'basket'; rm -rf $HOME", "--body-file"]


def test_where_it_is_not_a_human_is_told_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    opened = announce(PUSHED, SAID, (), tmp_path)
    assert opened.command == (
        "gh pr create --head bead/shop-1 --base main "
        "--title 'Mend the '\"'\"'basket'\"'\"'; rm -rf $HOME' --body 'Bead shop/shop-1'"
    )
    assert opened.command in str(opened)
