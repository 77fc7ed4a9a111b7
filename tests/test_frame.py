"""The frame around the code: the pinned dependencies, the Makefile, the import contract, the licence."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
LOCK = (TOP / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """Return each pinned package with the text of its entry."""
    entries = re.findall(r"^([A-Za-z0-9][\w.-]*)(\[[\w,-]*\])?==(.*(?:\n    .*)*)", LOCK, re.MULTILINE)
    return {normal(name): entry for name, _, entry in entries}


def test_the_lock_names_no_host_and_no_path():
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links|--trusted-host|(?:^|\s)/\w|file:|@ ", LOCK)


def test_every_pinned_package_has_hashes():
    assert pinned()
    assert [name for name, entry in pinned().items() if "--hash=sha256:" not in entry] == []


def test_the_lock_holds_everything_that_the_project_asks_for():
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["test"], *extras["check"], "setuptools"]
    names = {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in asked}
    assert names - pinned().keys() == set()


def make(*arguments: str) -> str:
    ours = ("MAKE", "PROJECT", "GO", "PYTHON", "VENV")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(["make", *arguments], cwd=TOP, env=clean, capture_output=True, text=True, check=True)
    return done.stdout


def test_make_alone_lists_every_target_with_its_help():
    phony = re.search(r"^\.PHONY: (.*)$", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    listed = re.findall(r"^make (\w+) +\S.*$", make(), re.MULTILINE)
    assert sorted(listed) == sorted(phony[1].split())


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ((), "dispatch demo\n"),
        (("PROJECT=/src/my shop",), 'dispatch demo --project "/src/my shop" \n'),
        (("PROJECT=/src/shop", "GO=1"), 'dispatch demo --project "/src/shop" --go\n'),
    ],
)
def test_make_run_shows_the_sample_project_or_the_named_one(arguments: tuple[str, ...], command: str):
    assert make("--dry-run", "run", *arguments).endswith(command)


def test_continuous_integration_runs_the_checks_and_then_the_tests_once():
    script = TOP / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.findall(r"^make .*$", script.read_text(encoding="utf-8"), re.MULTILINE) == ["make check test slow"]
    done = make("--dry-run", "check", "test", "slow")
    assert (done.count("ruff check"), done.count("-m pytest"), done.count("-m slow")) == (1, 2, 1)


def test_the_import_contract_holds():
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_licence_is_the_one_that_the_project_names():
    assert PROJECT["license"] == "Apache-2.0"
    text = (TOP / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
