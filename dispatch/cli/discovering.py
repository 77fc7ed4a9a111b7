"""What `init` finds out about a repository and this machine."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dispatch.cli.answering import Answer, ask_version
from dispatch.settings import KNOWN_PROGRAMS, Preset

DEFAULT_BRANCH = "main"


@dataclass(frozen=True, slots=True)
class FoundProgram:
    """An agent program on PATH that has a preset, and what it answered when it was asked for its version."""

    preset: Preset
    answer: Answer


def agents_on_path() -> list[FoundProgram]:
    """Return the agent programs with a preset that are installed, each asked whether it answers."""
    found = (preset for preset, known in KNOWN_PROGRAMS.items() if shutil.which(known.program))
    return [FoundProgram(preset, ask_version([KNOWN_PROGRAMS[preset].program])) for preset in found]


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
