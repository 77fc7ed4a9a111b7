"""What the keeper of a home does when its users, its servers or itself end."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from dispatch.embedded import EmbeddedStatus, Servers, down, ensure, inspect, release
from dispatch.embedded.home import EmbeddedHome
from dispatch.embedded.private_place import private_place

Until = Callable[[Callable[[], object]], None]
Query = Callable[[Servers, str], object]

USER = """
import sys
from pathlib import Path
from dispatch.embedded import ensure
ensure(Path(sys.argv[1]), idle=0.2)
print("up", flush=True)
sys.stdin.readline()
"""


def kill(*pids: int | None) -> None:
    """End processes of the test's own home, with no chance to clean up."""
    for pid in pids:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


def all_pids(status: EmbeddedStatus) -> tuple[int | None, int | None, int | None]:
    return status.keeper_pid, status.postgres.pid, status.valkey.pid


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped yet does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has nothing to do with us, and a pid that a stale file may name."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_the_servers_stop_when_nobody_has_used_them_for_a_while(home: Path, until: Until) -> None:
    ensure(home, idle=0.2)
    release(home)
    until(lambda: all_pids(inspect(home)) == (None, None, None))
    assert "database system is shut down" in (home / "postgres" / "log").read_text()


def test_a_killed_user_is_no_user_any_more(
    home: Path, until: Until, in_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    with in_process(USER, home) as user:
        assert user.stdout
        assert user.stdout.readline() == "up\n"
        user.kill()
    until(lambda: all_pids(inspect(home)) == (None, None, None))


def test_ensure_meets_a_keeper_that_is_leaving(home: Path, query: Query) -> None:
    for _ in range(4):
        servers = ensure(home, idle=0.02)
        assert query(servers, "SELECT 1") == 1
        release(home)


def test_the_servers_outlive_a_killed_keeper_and_the_next_takes_them_over(home: Path, until: Until) -> None:
    ensure(home)
    before = inspect(home)
    kill(before.keeper_pid)
    until(lambda: inspect(home).keeper_pid is None)
    assert inspect(home).running
    ensure(home)
    after = inspect(home)
    assert after.keeper_pid not in (None, before.keeper_pid)
    assert (after.postgres.pid, after.valkey.pid) == (before.postgres.pid, before.valkey.pid)
    assert down(home)
    assert all_pids(inspect(home)) == (None, None, None)


def test_down_stops_servers_that_have_no_keeper(home: Path) -> None:
    ensure(home)
    kill(inspect(home).keeper_pid)
    assert down(home) is True
    assert all_pids(inspect(home)) == (None, None, None)


@pytest.mark.parametrize("victim", ["postgres", "valkey"])
def test_a_killed_server_is_started_again(home: Path, until: Until, query: Query, victim: str) -> None:
    servers = ensure(home)
    query(servers, f"CREATE TABLE kept_by_{victim} AS SELECT 1")
    before = inspect(home)
    pid = getattr(before, victim).pid
    kill(pid)
    until(lambda: getattr(inspect(home), victim).pid not in (None, pid))
    assert ensure(home) == servers
    assert query(servers, f"SELECT count(*) FROM kept_by_{victim}") == 1
    assert inspect(home).keeper_pid == before.keeper_pid


def test_everything_comes_back_after_a_crash_of_the_machine(home: Path, query: Query) -> None:
    servers = ensure(home)
    query(servers, "CREATE TABLE kept AS SELECT 1")
    crashed = all_pids(inspect(home))
    kill(*crashed)
    again = ensure(home)
    assert query(again, "SELECT count(*) FROM kept") == 1
    assert set(all_pids(inspect(home))).isdisjoint(crashed)


def test_pid_files_that_name_a_stranger_by_now_stop_nothing_and_end_nobody(
    home: Path, query: Query, bystander: "subprocess.Popen[bytes]"
) -> None:
    ensure(home)
    status = inspect(home)
    assert status.postgres.data is not None
    assert status.postgres.socket is not None
    postmaster = status.postgres.data / "postmaster.pid"
    kept = postmaster.read_text().splitlines()
    kill(*all_pids(status))
    for path in (postmaster, Path(f"{status.postgres.socket}.lock")):
        path.write_text("\n".join([str(bystander.pid), *kept[1:]]) + "\n")
    (home / "valkey" / "pid").write_text(f"{bystander.pid}\n")
    (home / "run" / "keeper").write_text(f"{bystander.pid}\n")
    assert all_pids(inspect(home)) == (None, None, None)
    assert down(home) is False
    servers = ensure(home)
    assert query(servers, "SELECT 1") == 1
    assert down(home) is True
    assert bystander.poll() is None


def test_the_keeper_survives_ctrl_c_of_its_starter(home: Path) -> None:
    servers = ensure(home)
    keeper = inspect(home).keeper_pid
    assert keeper is not None
    assert os.getsid(keeper) != os.getsid(0)
    assert os.getpgid(keeper) != os.getpgid(0)
    with redis.Redis(unix_socket_path=urlsplit(servers.broker_url).path) as client:
        assert client.ping()


def test_the_keeper_sees_no_keys_of_its_starter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    ensure(home)
    status = inspect(home)
    for pid in all_pids(status):
        assert "OPENAI_API_KEY" not in psutil.Process(pid).environ()


def test_the_servers_stop_when_their_home_is_removed(fresh_home: Path, until: Until) -> None:
    ensure(fresh_home)
    pids = [pid for pid in all_pids(inspect(fresh_home)) if pid is not None]
    assert len(pids) == 3
    place = private_place(EmbeddedHome.at(fresh_home)) if os.geteuid() == 0 else None
    shutil.rmtree(fresh_home)
    until(lambda: not any(runs(pid) for pid in pids))
    if place is not None:
        shutil.rmtree(place)
