"""Where sockets go."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatch.embedded.home import EmbeddedHome, Endpoints
from dispatch.embedded.sockets import remove_short_directory, socket_directory, valkey_socket
from dispatch.errors import EmbeddedServerError


@pytest.fixture
def long_home(tmp_path: Path) -> EmbeddedHome:
    place = EmbeddedHome.at(tmp_path / ("h" * 110))
    place.create()
    return place


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """Given a directory with a short name, wherever pytest has its own."""
    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as name:
        yield Path(name)


def test_a_short_home_has_its_sockets_in_itself(tmp_path: Path) -> None:
    place = EmbeddedHome.at(tmp_path)
    assert socket_directory(place) == tmp_path / "run"


def test_a_long_home_uses_the_runtime_directory_of_the_session(
    long_home: EmbeddedHome, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_directory))
    directory = socket_directory(long_home)
    assert directory.parent == short_directory
    assert directory == socket_directory(long_home)
    long_home.write_endpoints(Endpoints(directory, valkey_socket(directory)))
    valkey_socket(directory).write_text("")
    remove_short_directory(long_home)
    assert not directory.exists()


def test_a_short_directory_that_others_can_enter_is_refused(
    long_home: EmbeddedHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    socket_directory(long_home).chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="is not a private directory"):
        socket_directory(long_home)


def test_a_link_in_place_of_the_short_directory_is_refused(
    long_home: EmbeddedHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    directory = socket_directory(long_home)
    directory.rmdir()
    (tmp_path / "trap").mkdir(mode=0o700)
    directory.symlink_to(tmp_path / "trap")
    with pytest.raises(EmbeddedServerError, match="is not a private directory"):
        socket_directory(long_home)


def test_without_a_session_the_short_directory_is_below_tmp(
    long_home: EmbeddedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    directory = socket_directory(long_home)
    assert directory.name.startswith(f"dispatch-{os.geteuid()}-")
    long_home.write_endpoints(Endpoints(directory, valkey_socket(directory)))
    remove_short_directory(long_home)
    assert not directory.exists()
