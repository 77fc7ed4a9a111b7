"""The command runner: what becomes of what a program does."""

import json
import os
import sys

import psutil
import pytest

from dispatch.errors import ConfigurationError
from dispatch.models.messages import ActionEvent, ProgressEvent, ResultEvent, UsageEvent
from dispatch.models.outcome import Completed, Failed, NeedsInput
from workers.runners import CommandRunner


def test_an_agent_that_exits_with_0_and_says_nothing_is_completed(stage):
    assert stage.run(CommandRunner(["true"])) == Completed()


@pytest.mark.parametrize(
    ("script", "cause"),
    [("exit 3", "exit 3"), ("kill -KILL $$", "signal SIGKILL"), ("kill -TERM $$", "signal SIGTERM")],
)
def test_an_agent_that_ends_badly_has_failed_with_how_it_ended(stage, script, cause):
    outcome = stage.run(CommandRunner(["sh", "-c", f"echo it went wrong >&2; {script}"]))

    assert outcome == Failed(cause=cause, output="it went wrong")


def test_the_end_of_a_long_error_output_is_kept(stage, program):
    outcome = stage.run(program("sys.stderr.write('x' * 9000 + 'the end'); sys.exit(1)"))

    assert len(outcome.output) == 4096
    assert outcome.output.endswith("xthe end")


def test_the_result_event_says_how_the_run_ended(make_stage, program):
    completed = program('say("", type="result", outcome="completed", summary="Done.", nothing_to_do=True)')
    failed = program('say("", type="result", outcome="failed", cause="no key", summary="No.")')
    asking = program('say("", type="result", outcome="needs_input", question="Which?"); sys.exit(4)')

    assert make_stage().run(completed) == Completed(summary="Done.", nothing_to_do=True)
    assert make_stage().run(failed) == Failed(cause="no key", summary="No.")
    assert make_stage().run(asking) == NeedsInput(question="Which?")


def test_completed_does_not_count_when_the_program_then_crashes(stage, program):
    outcome = stage.run(program('say("", type="result", outcome="completed"); sys.exit(7)'))

    assert isinstance(outcome, Failed)
    assert outcome.cause == "exit 7"
    assert "completed" in outcome.summary


def test_an_agent_that_does_not_exit_after_its_result_is_ended_and_the_result_counts(make_stage, program, living):
    stage = make_stage(result_linger=0.1)
    agent = program('tell_family(); say("", type="result", outcome="completed", summary="Done."); forever()')

    assert stage.run(agent) == Completed(summary="Done.")
    assert not living(stage.pids)


def test_events_arrive_in_order_and_an_action_carries_the_hash_of_its_result(stage, program):
    stage.run(
        program(
            """
            say("one")
            say("", type="action", action_type="test", action_data={"command": "make"}, result="ok in 1.52 s")
            say("", type="action", action_type="test", action_data={"command": "make"}, result="ok in 9.04 s")
            say("", type="usage", tokens_in=5, tokens_out=7, usd=0.25, extra="ignored")
            say("", type="result", outcome="completed")
            """
        )
    )

    progress, first, second, usage, result = stage.events
    assert progress == ProgressEvent(message="one")
    assert isinstance(first, ActionEvent)
    assert first.result is None
    assert len(first.result_hash) == 32
    assert second == first
    assert usage == UsageEvent(tokens_in=5, tokens_out=7, usd=0.25)
    assert result == ResultEvent(outcome="completed")


def test_plain_text_is_no_error(stage):
    outcome = stage.run(CommandRunner(["sh", "-c", 'echo hello; echo \'{"type": "dance"}\'; printf "no newline"']))

    assert outcome == Completed()
    assert stage.messages == ["hello", '{"type": "dance"}', "no newline"]
    assert stage.log == 'hello\n{"type": "dance"}\nno newline\n'


def test_the_assignment_is_in_a_file_that_only_its_owner_reads(make_stage, program):
    stage = make_stage(bead={"description": "Do it."})
    stage.run(
        program(
            """
            path = os.environ["DISPATCH_ASSIGNMENT"]
            say(json.dumps([json.load(open(path)), oct(os.stat(path).st_mode & 0o777), os.getcwd()]))
            """
        )
    )

    assignment, mode, directory = json.loads(stage.messages[0])
    assert assignment == json.loads(stage.context.assignment.model_dump_json())
    assert assignment["bead"]["description"] == "Do it."
    assert mode == "0o600"
    assert directory == str(stage.context.assignment.workspace)


def test_an_agent_sees_the_allowed_environment_and_no_secret(stage, program, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "planted")
    monkeypatch.setenv("DISPATCH_DATABASE_URL", "postgresql://planted")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("MY_KEY", "allowed")
    agent = program(
        """
        own = open("/proc/self/environ").read()
        guard = open(f"/proc/{os.getppid()}/environ").read()
        say(json.dumps([dict(os.environ), "planted" in own + guard]))
        """,
        env={"EXTRA": "1"},
        pass_env=["MY_KEY", "NOT_SET"],
    )
    stage.run(agent)

    seen, leaked = json.loads(stage.messages[0])
    always = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "TERM"} & set(os.environ)
    locale = {name for name in os.environ if name.startswith("LC_")}
    assert set(seen) - {"LC_CTYPE"} == (always | locale | {"MY_KEY", "EXTRA", *OURS}) - {"LC_CTYPE"}
    assert seen["MY_KEY"] == "allowed"
    assert not leaked


OURS = ("DISPATCH_ASSIGNMENT", "DISPATCH_PROCESS", "DISPATCH_PROMPT")


def test_variables_of_dispatch_itself_are_never_given_away():
    with pytest.raises(ConfigurationError, match="DISPATCH_DATABASE_URL"):
        CommandRunner(["true"], pass_env=["DISPATCH_DATABASE_URL"])


def test_an_agent_reads_an_empty_standard_input(stage):
    assert stage.run(CommandRunner(["sh", "-c", 'test -z "$(cat)"'])) == Completed()


def test_a_program_that_is_not_there_fails_with_the_cure(stage):
    outcome = stage.run(CommandRunner(["no-such-agent"]))

    assert isinstance(outcome, Failed)
    assert outcome.cause == "not found"
    assert "no-such-agent" in outcome.summary
    assert "PATH" in outcome.summary
    assert not stage.identities


def test_an_argv_without_a_program_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="names no program"):
        CommandRunner([])


def test_a_program_that_cannot_be_executed_fails_with_the_cure(make_stage, tmp_path):
    plain, bad_interpreter = tmp_path / "plain", tmp_path / "bad"
    plain.write_text("no #! line")
    bad_interpreter.write_text("#!/no/such/interpreter\n")
    for path in (plain, bad_interpreter):
        path.chmod(0o700)

    outcome = make_stage().run(CommandRunner([str(plain)]))
    assert outcome.cause == "not executable"
    assert "#!" in outcome.summary
    assert make_stage().run(CommandRunner([str(bad_interpreter)])).cause == "not found"


def test_a_workspace_that_is_gone_is_a_failure_that_says_so(stage):
    stage.context.assignment.workspace.rmdir()

    assert stage.run(CommandRunner(["true"])).cause == "no workspace"


def test_programs_are_found_beside_the_configuration_and_never_in_the_repository(make_stage, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    for place in (home, make_stage().context.assignment.workspace):
        agent = place / "agent"
        agent.write_text(f"#!/bin/sh\necho {place.name}\n")
        agent.chmod(0o700)
        (place / "agent.py").write_text(f"print('{place.name}')\n")
    monkeypatch.setenv("PATH", os.pathsep.join((".", "", os.environ["PATH"])))
    monkeypatch.chdir(make_stage().context.assignment.workspace)

    for argv in (["./agent"], [sys.executable, "-u", "agent.py"]):
        stage = make_stage()
        assert stage.run(CommandRunner(argv, base_directory=home)) == Completed()
        assert stage.messages == ["home"]
    for argv in (["./agent"], ["agent"]):
        assert make_stage().run(CommandRunner(argv)).cause == "not found"


def test_an_agent_starts_with_default_signals_in_a_session_of_its_own(stage, program):
    stage.run(
        program(
            """
            ignored = [number for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
                       if signal.getsignal(number) == signal.SIG_IGN]
            say(json.dumps([ignored, os.getsid(0) == os.getpgrp() == os.getpid(), os.getpid()]))
            """
        )
    )

    ignored, leads, pid = json.loads(stage.messages[0])
    assert ignored == []
    assert leads
    assert [identity.process_group for identity in stage.identities] == [pid]


def test_no_descriptor_of_the_worker_reaches_the_agent(stage, program):
    stage.run(program('say(json.dumps(sorted(map(int, os.listdir("/proc/self/fd")))))'))

    assert json.loads(stage.messages[0])[:3] == [0, 1, 2]
    assert len(json.loads(stage.messages[0])) <= 4  # the fourth is the listing's own


def test_runs_leave_no_descriptor_and_no_process_behind(make_stage):
    me = psutil.Process()
    make_stage().run(CommandRunner(["true"]))
    before, children = me.num_fds(), set(me.children(recursive=True))
    for argv in (["true"], ["false"], ["no-such-agent"], ["sh", "-c", "sleep 1000 & exit 0"]):
        make_stage().run(CommandRunner(argv))

    assert me.num_fds() == before
    assert set(me.children(recursive=True)) <= children
