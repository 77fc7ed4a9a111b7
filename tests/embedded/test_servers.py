"""The embedded servers as their users meet them."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from sqlalchemy import create_engine, text

from dispatch.embedded import Servers, down, ensure, inspect, purge
from dispatch.errors import EmbeddedServerError

Query = Callable[[Servers, str], object]


def broker(servers: Servers) -> redis.Redis:
    return redis.Redis(unix_socket_path=urlsplit(servers.broker_url).path)


def test_sqlalchemy_reaches_the_database_by_its_url(shared_home: Path) -> None:
    engine = create_engine(ensure(shared_home).database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT current_user || '@' || current_database()")).scalar_one()
    engine.dispose()
    assert found == "dispatch@dispatch"


def test_the_vector_extension_can_be_created(shared_home: Path, query: Query) -> None:
    servers = ensure(shared_home)
    query(servers, "CREATE EXTENSION IF NOT EXISTS vector")
    assert query(servers, "SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("max_connections", "300"),
        ("shared_buffers", "128MB"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
    ],
)
def test_postgresql_is_configured(shared_home: Path, query: Query, setting: str, value: str) -> None:
    assert query(ensure(shared_home), f"SHOW {setting}") == value


def test_text_beyond_ascii_has_upper_and_lower_case(shared_home: Path, query: Query) -> None:
    assert query(ensure(shared_home), "SELECT lower('ÄÖÜ')") == "äöü"


def test_postgresql_refuses_a_wrong_password(shared_home: Path, query: Query) -> None:
    servers = ensure(shared_home)
    password = urlsplit(servers.database_url).password
    assert password
    with pytest.raises(Exception, match="password authentication failed"):
        query(Servers(servers.database_url.replace(password, "guess"), servers.broker_url), "SELECT 1")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendonly", "yes"), ("maxmemory-policy", "noeviction"), ("port", "0"), ("unixsocketperm", "700")],
)
def test_valkey_is_configured(shared_home: Path, setting: str, value: str) -> None:
    with broker(ensure(shared_home)) as client:
        assert client.config_get(setting) == {setting: value}


def test_the_broker_url_is_the_one_celery_reads(shared_home: Path) -> None:
    assert ensure(shared_home).broker_url == f"redis+socket://{shared_home}/run/valkey.sock?virtual_host=0"


def test_a_second_ensure_finds_the_same_servers(shared_home: Path) -> None:
    first, before = ensure(shared_home), inspect(shared_home)
    second, after = ensure(shared_home), inspect(shared_home)
    assert first == second
    assert before == after
    assert before.running


def test_only_the_owner_can_read_what_the_servers_keep(shared_home: Path) -> None:
    ensure(shared_home)
    status = inspect(shared_home)
    assert status.postgres.data is not None
    assert status.postgres.socket is not None
    directories = [shared_home, *(shared_home / name for name in ("run", "postgres", "valkey")), status.postgres.data]
    directories.append(status.postgres.socket.parent)
    files = [path for path in shared_home.rglob("*") if path.is_file() and status.postgres.data not in path.parents]
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in directories} == {"0o700"}
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in files} <= {"0o600", "0o700"}
    assert oct(stat.S_IMODE((shared_home / "postgres" / "password").stat().st_mode)) == "0o600"


def test_the_directories_above_the_home_keep_owner_and_mode(fresh_home: Path) -> None:
    closed = fresh_home.parent / "closed"
    closed.mkdir(mode=0o700)
    inner = closed / "home"
    before = [(path, path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in inner.parents]
    ensure(inner)
    after = [(path, path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in inner.parents]
    purge(inner)
    assert before == after


def test_eight_processes_at_the_same_moment_get_the_same_servers(
    fresh_home: Path, in_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    program = """
import sys
from pathlib import Path
from dispatch.embedded import ensure, inspect
print("ready", flush=True)
sys.stdin.readline()
servers = ensure(Path(sys.argv[1]))
status = inspect(Path(sys.argv[1]))
print(servers, status.keeper_pid, status.postgres.pid, status.valkey.pid, flush=True)
sys.stdin.readline()
"""
    users = [in_process(program, fresh_home) for _ in range(8)]
    assert {user.stdout.readline() for user in users if user.stdout} == {"ready\n"}
    for user in users:
        assert user.stdin
        user.stdin.write("go\n")
        user.stdin.flush()
    answers = {user.stdout.readline() for user in users if user.stdout}
    for user in users:
        user.communicate("done\n", timeout=30)
    assert len(answers) == 1
    assert "postgresql+psycopg" in answers.pop()
    assert {user.returncode for user in users} == {0}


def test_a_starter_does_not_wait_for_the_keeper_on_its_pipes(
    home: Path, in_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    program = "import sys, pathlib, dispatch.embedded as e; e.ensure(pathlib.Path(sys.argv[1])); print('up')"
    output, _ = in_process(program, home).communicate(timeout=30)
    assert output == "up\n"
    assert inspect(home).running


def test_down_stops_both_and_the_data_is_there_again(home: Path, query: Query) -> None:
    servers = ensure(home)
    query(servers, "CREATE TABLE bead AS SELECT 7 AS id")
    with broker(servers) as client:
        client.set("wire", "kept")
    assert down(home) is True
    status = inspect(home)
    assert not status.postgres.running
    assert not status.valkey.running
    assert status.keeper_pid is None
    assert down(home) is False
    again = ensure(home)
    assert query(again, "SELECT id FROM bead") == 7
    with broker(again) as client:
        assert client.get("wire") == b"kept"
    assert "was not properly shut down" not in (home / "postgres" / "log").read_text()


def test_looking_at_a_home_that_does_not_exist_makes_nothing(fresh_home: Path) -> None:
    status = inspect(fresh_home)
    assert not status.running
    assert status.postgres.data is None
    assert down(fresh_home) is False
    assert not fresh_home.exists()


def test_purge_removes_what_is_ours_and_nothing_else(fresh_home: Path) -> None:
    ensure(fresh_home)
    data = inspect(fresh_home).postgres.data
    (fresh_home / "dispatch.toml").write_text("")
    purge(fresh_home)
    assert [path.name for path in fresh_home.iterdir()] == ["dispatch.toml"]
    assert data is not None
    assert not data.exists()


@pytest.mark.parametrize("name", ["h" * 120, "with, comma and ?"])
def test_a_path_that_no_address_can_hold_gets_a_short_socket_directory(
    fresh_home: Path, name: str, query: Query
) -> None:
    awkward = fresh_home / name
    servers = ensure(awkward)
    socket = Path(urlsplit(servers.broker_url).path)
    assert query(servers, "SELECT 1") == 1
    with broker(servers) as client:
        assert client.ping()
    assert awkward not in socket.parents
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert down(awkward)
    assert not socket.parent.exists()
    purge(awkward)


def test_a_home_of_somebody_else_is_refused(fresh_home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    fresh_home.mkdir()
    os.chown(fresh_home, 65534, 65534)
    with pytest.raises(EmbeddedServerError, match="belongs to uid 65534"):
        ensure(fresh_home)
    os.chown(fresh_home, 0, 0)


def test_a_link_in_place_of_our_directory_is_refused(fresh_home: Path) -> None:
    (fresh_home.parent / "elsewhere").mkdir()
    fresh_home.mkdir()
    (fresh_home / "run").symlink_to(fresh_home.parent / "elsewhere")
    with pytest.raises(EmbeddedServerError, match="is not a directory"):
        ensure(fresh_home)
    (fresh_home / "run").unlink()


def test_a_lost_password_is_told_at_once_and_the_data_is_left(home: Path) -> None:
    ensure(home)
    data = inspect(home).postgres.data
    down(home)
    password = home / "postgres" / "password"
    password.rename(home / "postgres" / "moved")
    with pytest.raises(EmbeddedServerError, match="its password is gone"):
        ensure(home)
    (home / "postgres" / "moved").rename(password)
    assert data is not None
    assert data.is_dir()
    assert not inspect(home).valkey.running


def test_a_home_that_cannot_be_made_is_told(fresh_home: Path) -> None:
    (fresh_home.parent / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match=r"cannot be kept there: .*Not a directory"):
        ensure(fresh_home.parent / "file" / "home")


def test_a_cluster_that_cannot_be_made_is_told_with_its_log(fresh_home: Path) -> None:
    fresh_home.mkdir()
    (fresh_home / "postgres").mkdir()
    (fresh_home / "postgres" / "password").mkdir()
    with pytest.raises(EmbeddedServerError, match="could not be kept"):
        ensure(fresh_home)


def test_records_that_came_with_a_home_are_not_believed(fresh_home: Path, tmp_path: Path) -> None:
    bystander = tmp_path / "bystander"
    bystander.mkdir()
    (bystander / "valkey.sock").write_text("not ours")
    (fresh_home / "run").mkdir(parents=True)
    (fresh_home / "postgres").mkdir()
    (fresh_home / "run" / "endpoints.json").write_text(
        f'{{"postgres_directory": "{bystander}", "valkey_socket": "{bystander}/valkey.sock"}}'
    )
    (fresh_home / "postgres" / "private-place").write_text(str(bystander))
    assert down(fresh_home) is False
    purge(fresh_home)
    assert (bystander / "valkey.sock").read_text() == "not ours"
