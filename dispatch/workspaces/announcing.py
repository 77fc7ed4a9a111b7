"""Opening a pull request for a branch that was pushed: by the project's command, by `gh`, or by saying what to type."""

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dispatch.models.landing import PullRequest
from dispatch.workspaces.processes import run_captured

COMMAND_TIMEOUT = 120.0
"""Seconds that the command may take."""
_OPTIONS = ("--head", "{branch}", "--base", "{base}", "--title", "{title}")
_RUN = ("gh", "pr", "create", *_OPTIONS, "--body-file", "{body_file}")
_TYPED = ("gh", "pr", "create", *_OPTIONS, "--body", "{body}")
_EXISTS = re.compile(r"already exists", re.IGNORECASE)
_URL = re.compile(r"https?://\S+")
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is said of a bead's work: one line, a text, and the bead's key."""

    title: str
    body: str
    bead: str


def announce(pull_request: PullRequest, said: Announcement, command: Sequence[str], place: Path) -> PullRequest:
    """Open the pull request in the repository at `place`, and return it with what came of that.

    A pull request that exists already is as good as one that was opened now. The command is started as a list of
    arguments, and sees this process's environment without what is dispatch's or git's own.
    """
    chosen = tuple(command) or (_RUN if shutil.which(_RUN[0]) else ())
    if not chosen:
        typed = shlex.join(_filled(_TYPED, pull_request, replace(said, body=f"Bead {said.bead}"), ""))
        return replace(pull_request, command=typed, problem="")
    with tempfile.NamedTemporaryFile("w", prefix="dispatch-pull-request-", suffix=".md", encoding="utf-8") as body:
        body.write(_plain(said.body))
        body.flush()
        return _run(pull_request, _filled(chosen, pull_request, said, body.name), place)


def _run(pull_request: PullRequest, argv: Sequence[str], place: Path) -> PullRequest:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DISPATCH_", "GIT_"))}
    try:
        finished = run_captured(argv, cwd=place, env=env, timeout=COMMAND_TIMEOUT)
    except OSError as error:
        return replace(pull_request, problem=f"{argv[0]} cannot be started ({error})")
    said = b"\n".join((finished.output, finished.complaint)).decode(errors="replace").replace("\0", " ").strip()
    if finished.code is None:
        return replace(pull_request, problem=f"{argv[0]} did not end within {COMMAND_TIMEOUT:g} s")
    if finished.code != 0 and not _EXISTS.search(said):
        last = said.splitlines()[-1][:_LONGEST] if said else "it said nothing"
        return replace(pull_request, problem=f"{argv[0]} ended with {finished.code}: {last}")
    found = _URL.findall(said)
    told = found[-1] if found else said.splitlines()[-1] if said else pull_request.url
    return replace(pull_request, url=told[:_LONGEST], command="", problem="")


def _filled(command: Sequence[str], pull_request: PullRequest, said: Announcement, body_file: str) -> list[str]:
    """Return the arguments with each placeholder, which is an argument of its own, replaced."""
    values: Mapping[str, str] = {
        "{branch}": pull_request.branch,
        "{base}": pull_request.base,
        "{title}": " ".join(_plain(said.title).split()),
        "{body}": _plain(said.body),
        "{body_file}": body_file,
        "{bead}": said.bead,
    }
    return [values.get(argument, argument) for argument in command]


def _plain(text: str) -> str:
    """Return a text without what no argument and no file of UTF-8 can hold."""
    return text.replace("\0", " ").encode(errors="replace").decode()
