"""Homes for the tests, purged at their end, and what the tests wait and look with."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dispatch.embedded import Servers, down, purge, release
from dispatch.embedded.home import EmbeddedHome
from dispatch.embedded.private_place import make_private_place, remove_private_place

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def copied_binaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep root's copy of the binaries from the first test to the last, by a home that has a place and no server."""
    if os.geteuid() != 0:
        yield
        return
    anchor = EmbeddedHome.at(tmp_path_factory.mktemp("anchor"))
    anchor.create()
    make_private_place(anchor)
    yield
    remove_private_place(anchor)


@pytest.fixture
def fresh_home(tmp_path: Path) -> Iterator[Path]:
    """A home that does not exist yet."""
    path = tmp_path / "home"
    yield path
    purge(path)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for the tests of a file, for those that only look."""
    path = tmp_path_factory.mktemp("shared") / "home"
    yield path
    purge(path)


@pytest.fixture
def home(shared_home: Path) -> Iterator[Path]:
    """The same home, its servers down: a test may start, kill and stop them, and does not wait for a new cluster."""
    down(shared_home)
    yield shared_home
    release(shared_home)
    down(shared_home)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until something is true, up to a deadline far beyond what it should take."""

    def wait(condition: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def in_process() -> Callable[..., "subprocess.Popen[str]"]:
    """Start a Python program of a few lines in a process of its own, with pipes to it."""

    def start(program: str, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )

    return start


@pytest.fixture
def query() -> Callable[[Servers, str], object]:
    """Run one statement and return the first value it gives, if any."""

    def run(servers: Servers, statement: str) -> object:
        with psycopg.connect(servers.database_url.replace("+psycopg", "")) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    return run
