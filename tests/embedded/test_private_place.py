"""PostgreSQL for root, and the same home for a user without rights."""

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dispatch.embedded import ensure, inspect
from dispatch.embedded.home import EmbeddedHome
from dispatch.embedded.private_place import make_private_place, remove_private_place
from dispatch.errors import EmbeddedServerError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has private places, and can become another user")

REPOSITORY = Path(__file__).resolve().parents[2]
NOBODY = 65534


@pytest.fixture
def place(tmp_path: Path) -> Iterator[EmbeddedHome]:
    place = EmbeddedHome.at(tmp_path / "home")
    place.create()
    yield place
    remove_private_place(place)


def test_postgresql_runs_as_nobody_and_owns_nothing_but_its_data(home: Path) -> None:
    ensure(home)
    status = inspect(home)
    assert status.postgres.data is not None
    assert psutil.Process(status.postgres.pid).uids().real == NOBODY
    assert status.postgres.data.stat().st_uid == NOBODY
    assert home.resolve() not in status.postgres.data.parents
    assert {path.stat().st_uid for path in home.rglob("*")} == {0}
    assert status.postgres.data.parent.stat().st_uid == 0
    assert psutil.Process(status.valkey.pid).uids().real == 0


def test_the_copied_binaries_are_roots_and_only_root_can_change_them(place: EmbeddedHome) -> None:
    site, _ = make_private_place(place)
    found = [path.lstat() for path in (site.parent, site, *site.rglob("*"))]
    assert {entry.st_uid for entry in found} == {0}
    assert not any(stat.S_IMODE(entry.st_mode) & 0o022 for entry in found)
    assert all(stat.S_IMODE(entry.st_mode) & 0o044 == 0o044 for entry in found)


def test_two_homes_share_one_copy_and_have_a_place_each(place: EmbeddedHome, tmp_path: Path) -> None:
    other = EmbeddedHome.at(tmp_path / "other")
    other.create()
    site, directory = make_private_place(place)
    other_site, other_directory = make_private_place(other)
    assert site == other_site
    assert directory != other_directory
    remove_private_place(other)
    assert directory.is_dir()
    assert not other_directory.exists()
    assert site.is_dir()


def test_a_lost_place_is_told_and_not_replaced_by_an_empty_one(place: EmbeddedHome) -> None:
    _, directory = make_private_place(place)
    shutil.rmtree(directory)
    with pytest.raises(EmbeddedServerError, match="has lost its data"):
        make_private_place(place)


@pytest.fixture
def nobodys_directory() -> Iterator[Path]:
    """A closed directory of an unprivileged user; pytest's own lie below one that only root can enter."""
    directory = Path(tempfile.mkdtemp(prefix="nobody-"))
    os.chown(directory, NOBODY, NOBODY)
    yield directory
    shutil.rmtree(directory)


def python_for(environment: dict[str, str], account: dict[str, Any]) -> str | None:
    """Return an interpreter that the account can run with our packages; root's own may lie in root's home."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            command = [python, "-c", "import dispatch.embedded"]
            found = subprocess.run(command, cwd="/", env=environment, check=False, capture_output=True, **account)
        except OSError:
            continue
        if found.returncode == 0:
            return python
    return None


def test_an_unprivileged_user_has_everything_in_the_home(nobodys_directory: Path) -> None:
    program = """
import sys
from pathlib import Path
import psycopg
from dispatch.embedded import down, ensure, inspect, purge
home = Path(sys.argv[1])
servers = ensure(home)
status = inspect(home)
assert home in status.postgres.data.parents, status
with psycopg.connect(servers.database_url.replace("+psycopg", "")) as connection:
    connection.execute("CREATE EXTENSION vector")
    connection.execute("CREATE TABLE kept AS SELECT 1")
assert down(home)
with psycopg.connect(ensure(home).database_url.replace("+psycopg", "")) as connection:
    assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
purge(home)
assert not home.exists()
print("done")
"""
    account: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    import_path = os.pathsep.join((str(REPOSITORY), sysconfig.get_path("purelib")))
    environment = {"PATH": os.defpath, "HOME": str(nobodys_directory), "PYTHONPATH": import_path}
    python = python_for(environment, account)
    if python is None:
        pytest.skip("no Python of this version, or not the checkout, is in a place that other users can enter")
    finished = subprocess.run(
        [python, "-c", program, str(nobodys_directory / "home")],
        cwd="/",
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        **account,
    )
    assert (finished.stdout, finished.stderr) == ("done\n", "")
    assert [path.name for path in Path("/var/lib/dispatch").glob("home-*") if path.stat().st_uid == NOBODY] == []
