"""The python runner: a function as an agent, as killable as a program."""

import json
import os
import signal
import sys
import threading

import psutil
import pytest

from dispatch.errors import ConfigurationError
from dispatch.models.messages import ActionEvent, ProgressEvent
from dispatch.models.outcome import Cancelled, Completed, Failed, Lost, NeedsInput, TimedOut
from dispatch.models.states import StopReason
from workers.runners import PythonRunner

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")

TELLING = """
def tell(emit):
    emit({"type": "progress", "message": "pids " + " ".join(map(str, family()))})
"""


def servers():
    """The fork servers of this process."""
    return [child for child in psutil.Process().children() if "workers.runners.fork_server" in child.cmdline()]


def test_a_function_that_returns_nothing_is_completed(stage, function):
    assert stage.run(function("def work(assignment): pass")) == Completed()
    assert len(stage.identities) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("NeedsInput(question='Which?')", NeedsInput(question="Which?")),
        ("{'kind': 'completed', 'summary': assignment.bead.title}", Completed(summary="A bead")),
        ("Failed(cause='no key', summary='a\\x00b')", Failed(cause="no key", summary="a\ufffdb")),
    ],
)
def test_a_function_returns_its_outcome(stage, function, answer, outcome):
    runner = function(f"from dispatch.models.outcome import Failed, NeedsInput\ndef work(assignment): return {answer}")

    assert stage.run(runner) == outcome


@pytest.mark.parametrize(
    "answer", ["42", "{'kind': 'odd'}", "{'kind': 'lost'}", "{'kind': 'completed', 'summary': 'x' * 3000000}"]
)
def test_what_is_no_outcome_of_an_agent_is_a_failure(stage, function, answer):
    assert stage.run(function(f"def work(assignment): return {answer}")).cause == "invalid outcome"


def test_an_exception_is_a_failure_with_its_name_and_traceback(make_stage, function):
    runner = function(
        """
        def work(assignment):
            print("before")
            raise LookupError("no such key")
        """
    )
    stage = make_stage()
    outcome = stage.run(runner)

    assert (outcome.cause, outcome.summary) == ("LookupError", "no such key")
    assert outcome.output.endswith("LookupError: no such key\n")
    assert stage.log == "before\n"
    assert make_stage().run(function("def work(assignment): sys.exit(5)")).cause == "SystemExit"


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("os._exit(3)", "exit 3"),
        ("os._exit(0)", "no outcome"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
    ],
)
def test_a_function_that_ends_its_process_has_failed(stage, function, end, cause):
    outcome = stage.run(function(f"def work(assignment): os.write(2, b'the last words'); {end}"))

    assert (outcome.cause, outcome.output) == (cause, "the last words")


def test_a_function_can_say_what_it_does(stage, function):
    runner = function(
        """
        from dispatch.models.messages import ProgressEvent
        def work(assignment, emit):
            emit(ProgressEvent(message="hello"))
            emit({"type": "action", "action_type": "read", "action_data": {"path": "a"}, "result": "text"})
            try:
                emit({"type": "result", "outcome": "completed"})
            except ValueError as error:
                emit({"type": "progress", "message": str(error)})
        """
    )

    assert stage.run(runner) == Completed()
    hello, action, refusal = stage.events
    assert hello == ProgressEvent(message="hello")
    assert isinstance(action, ActionEvent)
    assert action.result_hash
    assert "returning an outcome" in refusal.message


def test_an_infinite_loop_is_killed_and_the_server_lives_on(make_stage, function):
    runner = function(
        """
        def work(assignment, emit):
            emit({"type": "progress", "message": f"server {os.getppid()}"})
            if assignment.attempt == 1:
                ignore_sigterm()
                while True: pass
        """
    )
    looping, after = make_stage(timeout=0.5), make_stage(attempt=2)

    assert looping.run(runner) == TimedOut(limit_seconds=0.5)
    assert after.run(runner) == Completed()
    assert looping.messages == after.messages


@linux_only
@pytest.mark.parametrize("end", ["forever()", "return None", "os._exit(1)", "while True: os.fork(); time.sleep(0.3)"])
def test_nothing_that_a_function_started_is_left(make_stage, function, living, end):
    stage = make_stage(timeout=2)
    runner = function(f"{TELLING}\ndef work(assignment, emit):\n    tell(emit)\n    {end}")
    stage.run(runner)

    assert not living(stage.pids)
    assert [process.cmdline()[-3].split(":")[1] for process in servers()] == ["work"]


def test_stopping_and_abandoning_work_as_for_programs(make_stage, function, living):
    runner = function(f"{TELLING}\ndef work(assignment, emit):\n    tell(emit)\n    forever()")
    stopped, abandoned = make_stage(), make_stage(stop_grace=10_000)
    stopped.reactions.append(lambda message: stopped.control.ask_to_stop(StopReason.HANDBACK))
    abandoned.reactions.append(lambda message: abandoned.control.abandon())

    assert stopped.run(runner) == Cancelled(cause="handback")
    assert isinstance(abandoned.run(runner), Lost)
    assert not living(stopped.pids + abandoned.pids)


@linux_only
def test_a_function_without_pulses_is_ended(make_stage, function, living):
    stage = make_stage(pulse_limit=2)

    assert isinstance(stage.run(function(f"{TELLING}\ndef work(assignment, emit): tell(emit); forever()")), Lost)
    assert not living(stage.pids)


@linux_only
def test_a_lost_server_is_noticed_and_the_next_run_gets_a_new_one(make_stage, function, await_gone):
    runner = function(f"{TELLING}\ndef work(assignment, emit):\n    if assignment.attempt == 1: tell(emit); forever()")
    stage = make_stage()
    stage.reactions.append(lambda message: psutil.Process(stage.identities[0].process_group).parent().kill())

    assert stage.run(runner).cause == "guard lost"
    await_gone(stage.pids)
    assert make_stage(attempt=2).run(runner) == Completed()

    idle = servers()[0]
    idle.kill()
    idle.wait(60)
    assert make_stage(attempt=2).run(runner) == Completed()

    while not (waiting := servers()[0].children()):  # the child for the next run is forked after this one
        continue
    waiting[0].kill()
    assert make_stage(attempt=2).run(runner).cause == "signal SIGKILL"
    assert make_stage(attempt=2).run(runner) == Completed()


def test_an_import_that_takes_too_long_is_refused(stage, function):
    outcome = stage.run(function("signal.raise_signal(signal.SIGALRM)"))

    assert outcome.cause == "not found"
    assert "longer than 60 s" in outcome.summary


def test_a_function_works_in_the_workspace_with_the_allowed_environment(stage, function, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "planted")
    monkeypatch.setenv("MY_KEY", "allowed")
    runner = function(
        """
        def work(assignment, emit):
            leaked = "planted" in open("/proc/self/environ").read()
            facts = [dict(os.environ), leaked, os.getcwd(), os.getsid(0) == os.getpgrp() == os.getpid()]
            emit({"type": "progress", "message": json.dumps(facts)})
        """,
        pass_env=["MY_KEY"],
    )
    stage.run(runner)

    environment, leaked, directory, leads = json.loads(stage.messages[0])
    assert environment["MY_KEY"] == "allowed"
    assert "DATABASE_PASSWORD" not in environment
    assert "PYTHONPATH" not in environment
    assert environment["DISPATCH_ASSIGNMENT"].endswith("assignment.json")
    assert not leaked
    assert directory == str(stage.context.assignment.workspace)
    assert leads


def test_a_function_that_cannot_be_imported_fails_with_the_cure(make_stage, function):
    runner = function("print('importing'); import no_such_module")
    stage = make_stage()
    outcome = stage.run(runner)

    assert outcome.cause == "not found"
    assert "no_such_module" in outcome.summary
    assert "Traceback" in outcome.output
    assert stage.log == "importing\n"
    assert make_stage().run(PythonRunner("json:nothing")).cause == "not found"
    assert make_stage().run(function("sys.exit(0)")).cause == "not found"


def test_an_import_that_hangs_ends_at_the_deadline(make_stage, function, monkeypatch):
    monkeypatch.setattr("workers.runners.watch._KILL_PATIENCE", 0.3)

    assert make_stage(timeout=0.5).run(function("forever()")) == TimedOut(limit_seconds=0.5)
    assert not servers()


@pytest.mark.parametrize("target", ["", "module", "module:", ":work", "mod ule:work", "module:work()"])
def test_a_target_of_another_form_is_a_configuration_error(target):
    with pytest.raises(ConfigurationError, match="module:function"):
        PythonRunner(target)


def test_runs_at_the_same_time_get_a_server_each_and_share_them_later(make_stage, function):
    runner = function(
        """
        def work(assignment):
            open(f"here-{os.getpid()}", "w").close()
            while len(os.listdir()) < 3: time.sleep(0.01)
        """
    )
    threads = [make_stage().run_in_thread(runner) for _ in range(3)]

    assert [thread.result() for thread in threads] == [Completed()] * 3
    kept = {process.pid for process in servers()}
    assert len(kept) == 3
    assert make_stage().run(runner) == Completed()
    assert {process.pid for process in servers()} == kept


def test_a_forked_pool_process_makes_a_server_of_its_own(make_stage, function):
    runner = function('def work(assignment, emit): emit({"type": "progress", "message": str(os.getppid())})')
    first, in_child, last = make_stage(), make_stage(), make_stage()
    first.run(runner)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            in_child.run(runner)
            os.write(writer, in_child.messages[0].encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        os.close(writer)
        other = answer.read()
    last.run(runner)

    assert first.messages == last.messages
    assert other
    assert other not in first.messages


@linux_only
def test_servers_end_with_their_process(make_stage, function, await_gone):
    runner = function('def work(assignment, emit): emit({"type": "progress", "message": f"pids {os.getppid()}"})')
    stage = make_stage()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            stage.run(runner)
            os.write(writer, json.dumps(stage.pids).encode())
            signal.pause()
        finally:
            os._exit(0)
    pids = json.loads(os.read(reader, 1000))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    await_gone(pids)
    os.close(reader)
    os.close(writer)


def test_closing_ends_the_servers(stage, function):
    runner = function("def work(assignment): pass")
    stage.run(runner)
    assert servers()
    runner.close()

    assert not servers()
    assert threading.active_count() == 1
