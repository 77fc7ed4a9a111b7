"""The demo's directory: a home with its configuration, and the repository that the agents work on."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dispatch
from dispatch import embedded
from dispatch.cli.demo.shop import BACKEND, BEADS, DOCUMENTATION, FILES, FRONTEND, QA, REVIEWER, ROLES, ShopBead
from dispatch.embedded import UpLock
from dispatch.errors import RefusedError, UnavailableError
from dispatch.settings import Settings, load_settings

DIRECTORY = ".dispatch-demo"
PROJECT = "shop"
_MARK = "demo.txt"
_MARK_TEXT = "Made by `dispatch demo`, which replaces this directory at its next start.\n"
_CONFIG = """# What `dispatch demo` runs with. Your own looks much the same: see dispatch.example.toml.
home = "."

[dispatch]
tick_interval = "1s"

[guards]
cooldown = ["1s", "5s"]
max_failures = 2                     # a short patience, so that the demo shows how a human is asked

[workers.makers]
roles = [{makers}]
concurrency = 2

[workers.checkers]
roles = [{checkers}]
concurrency = 2

[runners.literal]
kind = "command"
argv = [{argv}]

{roles}
[projects.shop]
path = "tinyshop"
target_branch = "main"
default_role = "backend-engineer"
test_command = [{tests}]
"""


def replace_scene(directory: Path) -> Settings:
    """Make the demo's directory anew, in place of the one of an earlier demo; return its settings.

    Raises RefusedError when a demo runs there, or when the directory is something else.
    """
    agent = literal_agent()
    remove_scene(directory)
    directory.mkdir(mode=0o700, parents=True)
    (directory / _MARK).write_text(_MARK_TEXT)
    (directory / ".gitignore").write_text("*\n")
    (directory / "dispatch.toml").write_text(_config(agent))
    _make_repository(directory / "tinyshop")
    return load_settings(home=directory, config=directory / "dispatch.toml", environ=demo_environment())


def remove_scene(directory: Path) -> None:
    """Remove what an earlier demo left, its servers included; nothing happens when there is nothing."""
    if not directory.exists():
        return
    if not (directory / _MARK).is_file():
        raise RefusedError(
            problem=f"{directory} exists and was not made by a demo",
            cure="Move it away, or name another with --directory.",
        )
    with UpLock(directory):
        embedded.purge(directory)
    shutil.rmtree(directory)


def demo_environment() -> dict[str, str]:
    """Return our environment without any setting of dispatch: the demo is a deployment of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DISPATCH_")}


def literal_agent() -> Path:
    """Return the scripted agent; raises UnavailableError in an installation without the examples."""
    path = Path(dispatch.__file__).resolve().parents[1] / "examples" / "agents" / "literal.py"
    if not path.is_file():
        raise UnavailableError(
            server="The demo's agent",
            place=path,
            cause="it is no part of this installation",
            cure="Run the demo in a checkout: `make run`.",
        )
    return path


def _config(agent: Path) -> str:
    def quoted(*words: object) -> str:
        return ", ".join(json.dumps(str(word)) for word in words)

    return _CONFIG.format(
        makers=quoted(BACKEND, FRONTEND),
        checkers=quoted(QA, DOCUMENTATION, REVIEWER),
        argv=quoted(sys.executable, agent),
        roles="".join(f'[roles.{role}]\nrunners = ["literal"]\n\n' for role in ROLES),
        tests=quoted(sys.executable, "-m", "unittest", "discover", "-q", "-s", "tests", "-t", "."),
    )


def _make_repository(path: Path) -> None:
    for name, text in FILES.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    beads = path / ".beads" / "issues.jsonl"
    beads.parent.mkdir()
    start = datetime.now(UTC).replace(microsecond=0)
    beads.write_text("".join(json.dumps(_document(bead, start, n)) + "\n" for n, bead in enumerate(BEADS)))
    _git(path, "init", "--quiet", "--initial-branch=main")
    _git(path, "config", "user.name", "The demo")
    _git(path, "config", "user.email", "demo@localhost")
    _git(path, "add", ".")
    _git(path, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", "Open a shop")


def _document(bead: ShopBead, start: datetime, number: int) -> dict[str, object]:
    """Return a bead as a line of a tracker's file; each is a second younger than the one before."""
    created = (start - timedelta(seconds=len(BEADS) - number)).isoformat().replace("+00:00", "Z")
    edges = [
        {"issue_id": bead.id, "depends_on_id": other, "type": "blocks", "created_at": created}
        for other in bead.waits_for
    ]
    document: dict[str, object] = {
        "_type": "issue",
        "id": bead.id,
        "title": bead.title,
        "description": bead.description,
        "status": "open",
        "priority": bead.priority,
        "issue_type": bead.issue_type,
        "created_at": created,
        "updated_at": created,
        "labels": [*bead.labels, *([f"role:{bead.role}"] if bead.role else [])],
    }
    if edges:
        document["dependencies"] = edges
    if bead.metadata:
        document["metadata"] = dict(bead.metadata)
    return document


def _git(path: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=path, check=True, stdin=subprocess.DEVNULL)
