"""`dispatch run BEAD`: one bead in the foreground, with a real agent, repository and database, and no worker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatch import embedded
from dispatch.cli.demo.scene import literal_agent
from dispatch.cli.run import event_in_words, outcome_in_words
from dispatch.models.messages import ActionEvent, MessageEvent, ProgressEvent, ResultEvent, SessionEvent, UsageEvent
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, NeedsInput, TimedOut

PROGRAM = [sys.executable, "-c", "from dispatch.cli import main; main()"]
PATIENCE = 60.0
CONFIG = """
home = "home"

[runners.literal]
kind = "command"
argv = [{argv}]

[runners.refuses]
kind = "command"
argv = ["false"]

[roles.backend-engineer]
runners = ["literal"]

[projects.shop]
path = "repository"
default_role = "backend-engineer"
"""
WRITES = "```file hello.txt\nhello\n```\n"
SLEEPS = "```file begun.txt\nbegun\n```\n\n```sleep 600\n```\n"


class Shop:
    """A project with a scripted agent, and the command line beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.repository = directory / "repository"
        argv = ", ".join(json.dumps(str(word)) for word in (sys.executable, literal_agent()))
        (directory / "dispatch.toml").write_text(CONFIG.format(argv=argv))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.directory,
            env={name: value for name, value in os.environ.items() if not name.startswith("DISPATCH_")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; return its exit code, output and messages."""
        process = self.start(*arguments)
        printed, told = process.communicate(timeout=PATIENCE)
        return process.returncode, printed, told

    def add(self, title: str, description: str, *options: str) -> str:
        """Add a bead; return its id."""
        arguments = ("--description", description, "--project", "shop", *options, "--json")
        code, printed, told = self.call("add", title, *arguments)
        assert code == 0, told
        return str(json.loads(printed)["id"])


@pytest.fixture
def shop(tmp_path: Path, repository: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    assert shop.call("project", "add", str(repository), "--id", "shop")[0] == 0
    yield shop
    embedded.down(tmp_path / "home")
    embedded.purge(tmp_path / "home")


def test_a_bead_runs_lands_and_closes_here_and_now(shop: Shop) -> None:
    bead_id = shop.add("Say hello", WRITES)
    code, printed, told = shop.call("run", bead_id)
    assert code == 0, printed + told
    assert (shop.repository / "hello.txt").read_text() == "hello\n"
    assert "block 1 of 1: file hello.txt" in printed
    assert "edit     hello.txt" in printed
    assert "Completed." in printed
    assert f"shop/{bead_id} is closed; its work is on main of {shop.repository}." in printed

    code, _, told = shop.call("run", bead_id)
    assert code == 4
    assert "was not run" in told


def test_a_failed_run_tells_why_and_ends_with_1(shop: Shop) -> None:
    bead_id = shop.add("Say hello", WRITES)
    code, printed, _ = shop.call("run", bead_id, "--runner", "refuses")
    assert code == 1
    assert "Failed: exit 1" in printed
    assert f"shop/{bead_id} is open" in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_give_the_bead_back_with_its_work(shop: Shop, number: signal.Signals) -> None:
    bead_id = shop.add("Take long", SLEEPS)
    process = shop.start("run", bead_id)
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while "sleeping" not in (line := process.stdout.readline()):
            assert line, "it ended before the agent slept"
            assert time.monotonic() < deadline
        process.send_signal(number)
        printed, told = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130, printed + told
    assert "Cancelled: handback" in printed
    assert f"shop/{bead_id} is open; its work is on the branch bead/{bead_id}" in printed


def test_an_unknown_bead_or_runner_is_named(shop: Shop) -> None:
    bead_id = shop.add("Say hello", WRITES)
    code, _, told = shop.call("run", "nothing-1")
    assert code == 3
    assert "'nothing-1'" in told
    code, _, told = shop.call("run", bead_id, "--runner", "nobody")
    assert code == 3
    assert "'nobody'" in told


def test_what_an_agent_says_becomes_lines() -> None:
    assert event_in_words(ActionEvent(action_type="read", action_data={"path": "a.py"})) == "read     a.py"
    assert event_in_words(ActionEvent(action_type="command", action_data={"command": "make\n test"})) == (
        "command  make test"
    )
    assert event_in_words(ProgressEvent(message="thinking")) == "thinking"
    assert event_in_words(UsageEvent(tokens_in=5)) == ""
    assert event_in_words(SessionEvent(id="abc")) == event_in_words(MessageEvent(role="tool", text="x")) == ""
    assert event_in_words(MessageEvent(role="assistant", text="I\nwill.")) == "I will."
    assert (
        event_in_words(ResultEvent(outcome="needs_input", question="which?")) == "the agent says: needs_input. which?"
    )


def test_every_outcome_has_words() -> None:
    assert outcome_in_words(Completed(nothing_to_do=True)) == "Completed; nothing needed doing."
    assert outcome_in_words(Completed(summary="Wrote it.")) == "Completed. Wrote it."
    assert outcome_in_words(Failed(cause="exit 3", output="one\ntwo\n")) == "Failed: exit 3.\n  one\n  two"
    assert outcome_in_words(TimedOut(limit_seconds=2)) == "Stopped at its limit of 2 s."
    assert outcome_in_words(Looped(reason="the same test")) == "Stopped in a loop: the same test"
    assert outcome_in_words(NeedsInput(question="which?")) == "The agent asks: which?"
    assert outcome_in_words(Cancelled(cause="cancel")) == "Cancelled: cancel."
    assert outcome_in_words(Lost()).startswith("Lost")
