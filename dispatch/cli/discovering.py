"""What `init` finds out about a repository and this machine."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_BRANCH = "main"


@dataclass(frozen=True, slots=True)
class AgentProgram:
    """An agent program and how it is started for a run; `key` is the variable that it usually needs."""

    name: str
    argv: tuple[str, ...]
    key: str


_TASK = "Do the work that the JSON file $DISPATCH_ASSIGNMENT describes, in the current directory. Do not commit."
KNOWN_AGENTS = (
    AgentProgram("codex", ("sh", "-c", f'exec codex exec --sandbox workspace-write "{_TASK}"'), "OPENAI_API_KEY"),
    AgentProgram(
        "claude", ("sh", "-c", f'exec claude -p --permission-mode acceptEdits "{_TASK}"'), "ANTHROPIC_API_KEY"
    ),
    AgentProgram("opencode", ("sh", "-c", f'exec opencode run "{_TASK}"'), "OPENAI_API_KEY"),
)
"""The assignment is in a file; a shell puts its name into the prompt."""


def agents_on_path() -> list[AgentProgram]:
    """Return the known agent programs that are installed."""
    return [agent for agent in KNOWN_AGENTS if shutil.which(agent.name)]


def current_branch(directory: Path) -> str:
    """Return the branch that is checked out, or `main` where there is none."""
    try:
        done = subprocess.run(
            ["git", "symbolic-ref", "--quiet", "--short", "HEAD"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return DEFAULT_BRANCH
    return done.stdout.strip() or DEFAULT_BRANCH


def find_test_command(directory: Path) -> tuple[str, ...]:
    """Return the command that runs a repository's tests, as far as its files tell; empty when they do not."""
    for tells, command in _TEST_COMMANDS:
        if tells(directory):
            return command
    return ()


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda directory: any((directory / name).is_file() for name in names)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _make_has_test(directory: Path) -> bool:
    names = ("GNUmakefile", "makefile", "Makefile")
    return any(re.search(r"^test\s*:(?!=)", _text(directory / name), re.MULTILINE) for name in names)


def _uses_pytest(directory: Path) -> bool:
    if _has("pytest.ini", "conftest.py", "tests/conftest.py")(directory):
        return True
    try:
        project = tomllib.loads(_text(directory / "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return False
    return "pytest" in project.get("tool", {}) or "pytest" in str(project.get("project", {}))


def _npm_has_test(directory: Path) -> bool:
    try:
        package = json.loads(_text(directory / "package.json"))
    except ValueError:
        return False
    scripts = package.get("scripts") if isinstance(package, dict) else None
    script = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(script, str) and "no test specified" not in script


_TEST_COMMANDS: tuple[tuple[Callable[[Path], bool], tuple[str, ...]], ...] = (
    (_make_has_test, ("make", "test")),
    (_has("tox.ini"), ("tox",)),
    (_uses_pytest, ("python", "-m", "pytest")),
    (_npm_has_test, ("npm", "test")),
    (_has("Cargo.toml"), ("cargo", "test")),
    (_has("go.mod"), ("go", "test", "./...")),
    (_has("mix.exs"), ("mix", "test")),
    (_has("gradlew"), ("./gradlew", "test")),
    (_has("pom.xml"), ("mvn", "--batch-mode", "test")),
)
"""What says that a command runs the tests, in the order in which they are believed."""
