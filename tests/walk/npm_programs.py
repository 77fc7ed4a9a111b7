"""Agent programs from npm, installed once a machine in pinned versions, outside of the repository."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTALL_LIMIT = 150.0
"""Seconds that an installation may take before its tests are skipped."""


@dataclass(frozen=True)
class NpmProgram:
    """`script` is what its package runs after an installation, in its own directory: it only puts a binary in place."""

    name: str
    package: str
    version: str
    script: str = ""


CODEX = NpmProgram("codex", "@openai/codex", "0.171.0")
CLAUDE = NpmProgram("claude", "@anthropic-ai/claude-code", "2.1.197", "install.cjs")
OPENCODE = NpmProgram("opencode", "opencode-ai", "1.18.33", "postinstall.mjs")


_MISSING: dict[str, str] = {}
"""Why a program could not be installed: it is tried once a test process."""


def installed(program: NpmProgram) -> Path:
    """Return the program, installing it where that was not done yet; skip the test where that is not possible."""
    found = find(program)
    if found is None:
        pytest.skip(_MISSING[program.name])
    return found


def find(program: NpmProgram) -> Path | None:
    """Return the program, installing it where that was not done yet; None where that is not possible."""
    if program.name in _MISSING:
        return None
    npm = shutil.which("npm")
    if npm is None:
        _MISSING[program.name] = f"npm is not installed, so {program.name} cannot be"
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dispatch-tests"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"{program.name}-{program.version}"
    with (cache / f"{program.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists() and not _install(npm, program, cache, place):
            return None
    return place / "node_modules" / ".bin" / program.name


def _install(npm: str, program: NpmProgram, cache: Path, place: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        target = Path(directory) / "program"
        target.mkdir()
        words = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(target)]
        commands = [([npm, *words, f"{program.package}@{program.version}"], target)]
        if program.script:
            commands.append((["node", program.script], target / "node_modules" / program.package))
        for command, where in commands:
            try:
                subprocess.run(command, cwd=where, check=True, capture_output=True, text=True, timeout=INSTALL_LIMIT)
            except (subprocess.SubprocessError, OSError) as error:
                said = str(getattr(error, "stderr", "") or error).strip()
                _MISSING[program.name] = f"{program.package} cannot be installed: {said[-300:]}"
                return False
        target.rename(place)
    return True
