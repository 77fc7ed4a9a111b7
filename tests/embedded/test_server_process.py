"""Processes and logs of the servers."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from dispatch.embedded.file_lock import FileLock
from dispatch.embedded.server_process import RunningServer, bound_log, find_process, open_log, spawn, stop_all


def test_a_server_that_ignores_the_clean_signal_is_ended_by_force() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        running = RunningServer(psutil.Process(child.pid), child)
        stop_all([(running, ((signal.SIGTERM, 0.05), (signal.SIGKILL, 10.0)))])
        assert child.returncode == -signal.SIGKILL


def test_a_spawned_server_holds_the_lock_until_it_ends(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire_now()
    running = spawn(["sleep", "600"], log=tmp_path / "log", lock=lock)
    assert not FileLock(tmp_path / "lock").acquire_now()
    stop_all([(running, ((signal.SIGTERM, 10.0),))])
    again = FileLock(tmp_path / "lock")
    assert again.acquire(5)
    again.release()


def test_only_a_process_of_that_name_in_that_directory_is_found(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    assert find_process(pid_file, "sleep", tmp_path) is None
    with subprocess.Popen(["sleep", "600"], cwd=tmp_path) as child:
        pid_file.write_text(f"{child.pid}\nmore\n")
        found = find_process(pid_file, "sleep", tmp_path)
        assert found is not None
        assert found.process.pid == child.pid
        assert find_process(pid_file, "postgres", tmp_path) is None
        assert find_process(pid_file, "sleep", tmp_path / "other") is None
        child.kill()
        child.wait()
        assert not found.is_alive()
    pid_file.write_text("garbage")
    assert find_process(pid_file, "sleep", tmp_path) is None


def test_a_log_is_cut_under_its_writer_and_one_older_part_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with open_log(log) as output:
        output.write(b"a" * 10)
        output.flush()
        bound_log(log, 10)
        assert log.stat().st_size == 10
        output.write(b"b")
        output.flush()
        bound_log(log, 10)
        output.write(b"c")
    assert (tmp_path / "log.1").read_bytes() == b"a" * 10 + b"b"
    assert log.read_bytes() == b"c"
    assert log.stat().st_mode & 0o777 == 0o600
