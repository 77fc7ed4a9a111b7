"""What a command leaves running is ended with it, so that tests of changed code leave nothing on the machine."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.protocol.mutation import ROOT

LEAVES_A_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
sys.exit(3)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_a_daemon_of_a_command_ends_with_it_and_its_exit_code_is_passed_on(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    command = [sys.executable, "-m", "tests.protocol.reaping", sys.executable, "-c", LEAVES_A_DAEMON, str(told)]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 3
    assert not psutil.pid_exists(int(told.read_text()))
