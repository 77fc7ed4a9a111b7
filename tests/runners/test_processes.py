"""Ending what a dead worker left: exactly that, and never a process with a recycled number."""

import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from workers.runners import end_process_group
from workers.runners.guard import PROCESS_MARK, process_mark, start_ticks
from workers.runners.processes import identify

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def leader():
    """A process that leads a session, as agents do, and has a child in its group."""
    command = ["sh", "-c", "sleep 1000 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        process.child = psutil.Process(int(process.stdout.readline()))
        yield process
        process.kill()
        if process.child.is_running():
            process.child.kill()


def test_the_group_of_an_earlier_attempt_is_ended(leader, living):
    identity = identify(leader.pid, start_ticks(leader.pid))

    assert end_process_group(identity)
    assert leader.wait(60) == -9
    assert not living([leader.child.pid])
    assert not end_process_group(identity)


def test_processes_of_another_start_host_or_boot_are_left_alone(leader):
    identity = identify(leader.pid, start_ticks(leader.pid))

    for other in (
        replace(identity, started=identity.started - 1),
        replace(identity, started=0.0),
        replace(identity, host="elsewhere"),
        replace(identity, boot_id="an earlier boot"),
    ):
        assert not end_process_group(other)
    assert leader.poll() is None
    assert leader.child.is_running()


@linux_only
def test_a_group_whose_first_process_is_gone_is_known_by_its_mark():
    identity = replace(identify(1, None), process_group=4_000_000, started=12.5)
    mark = process_mark(4_000_000, 1250)
    ours, other = (
        subprocess.Popen(["sleep", "1000"], env={PROCESS_MARK: value}, start_new_session=True)
        for value in (mark, mark + "0")
    )
    with ours, other:
        assert end_process_group(identity)
        assert ours.wait(60) == -9
        assert other.poll() is None
        other.kill()


@linux_only
def test_the_identity_that_a_runner_reports_finds_the_agent_and_its_daemons(stage, program, living):
    stage.reactions.append(lambda message: end_process_group(stage.identities[0]))
    outcome = stage.run(program("tell_family(); forever()"))

    assert outcome.cause == "signal SIGKILL"
    assert not living(stage.pids)
