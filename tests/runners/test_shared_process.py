"""Runs that share a process, one after the other, and what keeps a run from sharing."""

import sys

import pytest

from dispatch.models.outcome import Cancelled, Completed, TimedOut
from dispatch.models.states import StopReason

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the list of a process's children")

SAY_PID = 'emit({"type": "progress", "message": f"pids {os.getpid()}"})'


def run_all(runner, make_stage, count, **limits):
    """Do so many runs one after the other; return the process of each."""
    stages = [make_stage(attempt=number + 1, **limits) for number in range(count)]
    for stage in stages:
        stage.run(runner)
    return [stage.pids[0] for stage in stages]


def test_as_many_runs_share_a_process_as_were_asked_for(make_stage, function):
    runner = function(f"def work(assignment, emit): {SAY_PID}", runs_per_process=3)
    first, second, third, fourth = run_all(runner, make_stage, 4)
    assert first == second == third
    assert fourth != third


def test_each_run_has_a_process_of_its_own_unless_asked(make_stage, function):
    runner = function(f"def work(assignment, emit): {SAY_PID}")
    assert len(set(run_all(runner, make_stage, 3))) == 3


def test_each_run_is_told_the_process_that_works_for_it(make_stage, function):
    runner = function(f"def work(assignment, emit): {SAY_PID}", runs_per_process=2)
    stages = [make_stage(), make_stage()]
    for stage in stages:
        assert stage.run(runner) == Completed()
    assert [stage.identities[0].process_group for stage in stages] == [stage.pids[0] for stage in stages]
    assert stages[0].identities == stages[1].identities


@pytest.mark.parametrize(
    "leaving",
    [
        "import threading; threading.Thread(target=forever, daemon=True).start()",
        "spawn()",
        "spawn(os.setsid, fork_again)",
        "os.fork() or os._exit(0)",
        "ignore_sigterm()",
    ],
    ids=["a thread", "a process", "a daemon", "a zombie", "a handler"],
)
def test_a_run_that_leaves_something_behind_is_the_last_of_its_process(make_stage, function, living, leaving):
    source = f"""
        def work(assignment, emit):
            {SAY_PID}
            if assignment.attempt == 1:
                {leaving}
    """
    runner = function(source, runs_per_process=9)
    first, second, third = run_all(runner, make_stage, 3)
    assert first != second == third
    assert not living([first])


def test_directory_environment_and_output_are_those_of_each_run(make_stage, function, tmp_path):
    source = """
        def work(assignment, emit):
            emit({"type": "progress", "message": f"{os.getcwd()} {os.environ.get('LEFT')}"})
            print("run", assignment.attempt, flush=True)
            os.environ["LEFT"] = "by the run before"
            os.chdir("/")
    """
    runner = function(source, runs_per_process=9)
    stages = [make_stage(attempt=number) for number in (1, 2)]
    for stage in stages:
        assert stage.run(runner) == Completed()
    assert [stage.messages for stage in stages] == [[f"{tmp_path / 'workspace'} None"]] * 2
    assert [stage.log for stage in stages] == ["run 1\n", "run 2\n"]


def test_a_run_that_was_ended_takes_its_process_with_it(make_stage, function, living):
    source = f"""
        def work(assignment, emit):
            {SAY_PID}
            if assignment.attempt == 2:
                forever()
    """
    runner = function(source, runs_per_process=9)
    (first,) = run_all(runner, make_stage, 1)
    late = make_stage(attempt=2, timeout=0.3)
    assert late.run(runner) == TimedOut(limit_seconds=0.3)
    assert late.pids == [first]
    assert not living([first])
    assert run_all(runner, make_stage, 1) != [first]


def test_a_run_that_returns_when_it_is_asked_to_stop_is_the_last_of_its_process(make_stage, function):
    source = f"""
        def work(assignment, emit):
            {SAY_PID}
            if assignment.attempt == 1:
                asked = []
                signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
                emit({{"type": "progress", "message": "asked"}})
                while not asked:
                    time.sleep(0.01)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
    """
    runner = function(source, runs_per_process=9)
    asked, after = make_stage(stop_grace=600), make_stage(attempt=2)
    asked.when("asked", lambda: asked.control.ask_to_stop(StopReason.CANCEL))
    assert isinstance(asked.run_in_thread(runner).result(), Cancelled), "nobody waits for what has nothing to do"
    assert after.run(runner) == Completed()
    assert asked.pids != after.pids


def test_the_process_ends_with_its_runner(make_stage, function, living):
    runner = function(f"def work(assignment, emit): {SAY_PID}", runs_per_process=9)
    (kept,) = run_all(runner, make_stage, 1)
    runner.close()
    assert not living([kept])
