"""However a run is ended, nothing of its agent is left, and the outcome says who ended it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from dispatch.models.messages import ActionEvent
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, TimedOut
from dispatch.models.states import StopReason
from workers.runners import CommandRunner

STUBBORN = "tell_family(); forever()"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")


def guard_of(stage):
    return psutil.Process(stage.identities[0].process_group).parent()


@linux_only
def test_at_the_deadline_a_stubborn_agent_and_all_its_offspring_are_gone(make_stage, program, living):
    stage = make_stage(timeout=2)

    assert stage.run(program(STUBBORN)) == TimedOut(limit_seconds=2)
    assert len(stage.pids) == 5
    assert not living(stage.pids)


def test_an_agent_that_obeys_has_the_grace_to_tidy_up(make_stage, program):
    stage = make_stage(stop_grace=60)
    agent = program(
        """
        def tidy(number, frame):
            say("tidied")
            sys.exit(0)
        signal.signal(signal.SIGTERM, tidy)
        say("ready")
        forever()
        """
    )
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.CANCEL))

    assert stage.run(agent) == Cancelled(cause="cancel")
    assert stage.messages == ["ready", "tidied"]


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (StopReason.HANDBACK, Cancelled(cause="handback")),
        (StopReason.CANCEL, Cancelled(cause="cancel")),
        (StopReason.CLOSED_BY_HAND, Cancelled(cause="closed by hand")),
        (StopReason.BUDGET, Cancelled(cause="budget")),
        (StopReason.DEADLINE, TimedOut(limit_seconds=60)),
        (StopReason.LOOP, Looped(reason="the agent repeated itself without progress")),
    ],
)
def test_an_agent_that_is_asked_to_stop_ends_with_the_outcome_of_the_reason(stage, program, reason, outcome):
    stage.when("ready", lambda: stage.control.ask_to_stop(reason))

    assert stage.run(program('say("ready"); forever()')) == outcome


def test_the_first_reason_to_stop_counts(stage, program):
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.HANDBACK))
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.CANCEL))

    assert stage.run(program('say("ready"); forever()')) == Cancelled(cause="handback")


def test_a_stop_that_comes_after_the_result_does_not_change_it(stage, program):
    stage.when("waiting", lambda: stage.control.ask_to_stop(StopReason.CANCEL))
    agent = program('say("", type="result", outcome="completed", summary="Done."); say("waiting"); forever()')

    assert stage.run(agent) == Completed(summary="Done.")


def test_a_result_that_comes_after_the_stop_does_not_count(make_stage, program):
    stage = make_stage(stop_grace=60)
    agent = program(
        """
        def finish(number, frame):
            say("", type="result", outcome="completed")
            sys.exit(0)
        signal.signal(signal.SIGTERM, finish)
        say("ready")
        forever()
        """
    )
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.HANDBACK))

    assert stage.run(agent) == Cancelled(cause="handback")


def test_a_run_that_was_stopped_or_abandoned_before_never_starts(make_stage):
    stopped, abandoned = make_stage(), make_stage()
    stopped.control.ask_to_stop(StopReason.CANCEL)
    abandoned.control.abandon()

    assert stopped.run(CommandRunner(["true"])) == Cancelled(cause="cancel")
    assert isinstance(abandoned.run(CommandRunner(["true"])), Lost)
    assert not stopped.identities
    assert not abandoned.identities


@linux_only
def test_an_abandoned_agent_is_killed_at_once(make_stage, program, living):
    stage = make_stage(stop_grace=10_000)
    stage.reactions.append(lambda message: stage.control.abandon())

    assert isinstance(stage.run(program(STUBBORN)), Lost)
    assert not living(stage.pids)


@linux_only
def test_an_abandoned_agent_is_killed_although_the_receiver_of_events_is_stuck(make_stage, program, await_gone):
    stage = make_stage()
    stuck, freed = threading.Event(), threading.Event()

    def stick(message):
        stuck.set()
        assert freed.wait(60)

    stage.reactions.append(stick)
    running = stage.run_in_thread(program(STUBBORN))
    assert stuck.wait(60)
    stage.control.abandon()
    await_gone(stage.pids)
    freed.set()

    assert isinstance(running.result(), Lost)


@linux_only
def test_an_agent_without_pulses_is_ended_by_its_guard(make_stage, program, living):
    stage = make_stage(pulse_limit=2)
    outcome = stage.run(program(STUBBORN))

    assert isinstance(outcome, Lost)
    assert "no pulse" in outcome.summary
    assert not living(stage.pids)


SLEEPER = """
import sys, time
from pathlib import Path
from workers.runners import guard

clock, slept, hours = time.clock_gettime, Path(sys.argv[1]), 0

def sleepy_clock(number):
    # An hour's sleep of the machine before each look at the clock: one clock counts it, the other stands.
    global hours
    if number != time.CLOCK_BOOTTIME:
        return clock(number)
    hours += slept.exists()
    return clock(number) + hours * 3600

time.clock_gettime = sleepy_clock
guard.main(sys.argv[2:])
"""


@linux_only
def test_a_guard_counts_the_time_that_the_machine_slept(tmp_path):
    slept = tmp_path / "slept"
    ours, theirs = socket.socketpair()
    limits = [str(theirs.fileno()), "1800", "0.3", str(tmp_path)]
    command = [sys.executable, "-c", SLEEPER, str(slept), *limits, "/bin/sleep", "600"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment) as guard:
        theirs.close()
        ours.settimeout(20)
        reports = ours.makefile()
        try:
            assert json.loads(reports.readline())["event"] == "started"
            ours.send(b"p")
            slept.touch()
            assert json.loads(reports.readline())["cause"] == "no pulse"
        finally:
            ours.close()
            reports.close()
            guard.wait(20)


def test_pulses_keep_an_agent_running(make_stage, program):
    stage = make_stage(pulse_limit=1.5)
    stage.reactions.append(lambda message: stage.control.pulse())

    assert stage.run(program('for n in range(12): say("still here"); time.sleep(0.2)')) == Completed()


@linux_only
def test_daemons_of_an_agent_that_ends_by_itself_end_with_it(stage, program, living):
    assert stage.run(program("tell_family(); sys.exit(0)")) == Completed()
    assert not living(stage.pids)


@linux_only
def test_an_agent_that_forks_without_end_is_ended(make_stage, program, living):
    stage = make_stage()
    agent = program(
        """
        ignore_sigterm()
        say("ready")
        while True:  # a process that jumps: always a new one, in a new session
            if os.fork():
                os._exit(0)
            os.setsid()
            if os.fork() == 0:
                forever()
            time.sleep(0.001)
        """
    )
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.CANCEL))

    outcome = stage.run(agent)

    assert outcome in (Cancelled(cause="cancel"), Completed())
    assert not marked(stage)


@linux_only
def test_a_fork_bomb_is_ended(make_stage, program):
    stage = make_stage(timeout=1)
    agent = program(
        """
        ignore_sigterm()
        def burst(depth):
            while depth:
                depth -= 1
                if os.fork() == 0:
                    os.setsid()
            forever()
        burst(7)
        """
    )

    assert stage.run(agent) == TimedOut(limit_seconds=1)
    assert not marked(stage)


def marked(stage):
    """Return the processes that carry the mark of the stage's agent, wherever they went."""
    mark = f"{stage.identities[0].process_group}-"
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DISPATCH_PROCESS", "").startswith(mark):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_what_receives_events_may_raise_and_the_agent_is_still_ended(stage, program, living):
    def refuse(message):
        raise RuntimeError("the database is away")

    stage.reactions.append(refuse)
    with pytest.raises(RuntimeError, match="database"):
        stage.run(program(STUBBORN))
    assert not living(stage.pids)


@linux_only
def test_a_lost_guard_is_noticed_and_its_agent_ended(stage, program, await_gone):
    stage.reactions.append(lambda message: guard_of(stage).kill())
    outcome = stage.run(program(STUBBORN))

    assert isinstance(outcome, Failed)
    assert outcome.cause == "guard lost"
    await_gone(stage.pids)


@linux_only
def test_a_guard_that_its_agent_stopped_is_overcome(stage, program, await_gone, monkeypatch):
    monkeypatch.setattr("workers.runners.watch._KILL_PATIENCE", 0.3)
    stage.reactions.append(lambda message: stage.control.ask_to_stop(StopReason.CANCEL))

    assert stage.run(program("os.kill(os.getppid(), signal.SIGSTOP); tell_family(); forever()")) == Cancelled(
        cause="cancel"
    )
    await_gone(stage.pids)


def test_a_guard_ignores_the_signals_of_terminals_and_supervisors(stage, program):
    go_on = stage.context.assignment.workspace / "go-on"

    def disturb():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            guard_of(stage).send_signal(number)
        go_on.touch()

    stage.when("ready", disturb)
    agent = program('say("ready")\nwhile not os.path.exists("go-on"): time.sleep(0.01)\nsay("done")')

    assert stage.run(agent) == Completed()
    assert stage.messages == ["ready", "done"]


def test_a_stopped_agent_is_ended(stage, program, living):
    stage.when("ready", lambda: stage.control.ask_to_stop(StopReason.CANCEL))
    agent = program('say(f"pids {os.getpid()}"); say("ready"); os.kill(os.getpid(), signal.SIGSTOP)')

    assert stage.run(agent) == Cancelled(cause="cancel")
    assert not living(stage.pids)


def test_several_threads_run_agents_at_the_same_time(make_stage, program):
    meeting = 'open(sys.argv[0] + str(os.getpid()), "w")'
    agent = program(
        f"""
        import glob
        {meeting}
        while len(glob.glob(sys.argv[0] + "?*")) < 3: time.sleep(0.01)
        say("met")
        """
    )
    stages = [make_stage() for _ in range(3)]
    running = [stage.run_in_thread(agent) for stage in stages]

    assert [thread.result() for thread in running] == [Completed()] * 3
    assert [stage.messages for stage in stages] == [["met"]] * 3


def test_what_was_printed_before_the_end_is_read(stage, program):
    agent = program('for n in range(500): say("", type="action", action_type="read", action_data={"n": n})')

    assert stage.run(agent) == Completed()
    assert len([event for event in stage.events if isinstance(event, ActionEvent)]) == 500


WORKER = """
import sys, threading, time, uuid
from pathlib import Path
from dispatch.models.messages import AssignedBead, AssignedProject, Assignment, ProgressEvent
from workers.runners import CommandRunner, RunControl, RunnerContext

place, agent = map(Path, sys.argv[1:3])
control = RunControl()

def beat():
    while True:
        control.pulse()
        time.sleep(0.05)

threading.Thread(target=beat, daemon=True).start()
assignment = Assignment(
    run_id=uuid.uuid4(), attempt=1, role="r", timeout_seconds=600, workspace=place,
    project=AssignedProject(id="p", target_branch="main"), bead=AssignedBead(id="b", title="t"),
)
context = RunnerContext(
    assignment, place / "run", control, lambda event: print(event.message, flush=True), lambda identity: None,
    stop_grace=0.3, pulse_limit=float(sys.argv[3]),
)
CommandRunner([sys.executable, "-I", "-S", str(agent)]).run(context)
"""


@linux_only
@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=lambda fate: fate.name)
def test_an_agent_does_not_outlive_its_worker(tmp_path, program, await_gone, fate):
    program(STUBBORN)
    pulse_limit = "1.5" if fate is signal.SIGSTOP else "600"
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(tmp_path / "agent0.py"), pulse_limit]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stdout is not None
        pids = [int(word) for word in worker.stdout.readline().split()[1:]]
        worker.send_signal(fate)
        try:
            await_gone(pids)
        finally:
            worker.kill()
