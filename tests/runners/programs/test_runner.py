"""Driving a program through a run: its prompt, its session, its end."""

import json
import sys
from decimal import Decimal
from textwrap import dedent

import pytest

from dispatch.models.messages import (
    AssignedNode,
    AssignedSession,
    LessonEvent,
    MessageEvent,
    ProgressEvent,
    ResultEvent,
    SessionEvent,
    UsageEvent,
)
from dispatch.models.outcome import Completed, Failed, NeedsInput, TimedOut
from dispatch.models.session import Turn
from dispatch.settings import Preset
from workers.runners import CommandRunner
from workers.runners.pricing import PricedRunner
from workers.runners.programs import PROGRAMS, ProgramRunner

CODEX_LIKE = """
import json, os, sys, time
def say(kind, **fields):
    os.write(1, (json.dumps({"type": kind, **fields}) + "\\n").encode())
def message(text):
    say("item.completed", item={"type": "agent_message", "text": text})
def done(tokens_in=10, tokens_out=2):
    say("turn.completed", usage={"input_tokens": tokens_in, "output_tokens": tokens_out})
prompt = sys.stdin.read()
resumed = "resume" in sys.argv
"""


@pytest.fixture
def drive(tmp_path):
    """Given a way to make a runner of a preset for a program in Python."""

    def make(source, preset=Preset.CODEX, **options):
        path = tmp_path / "the_program"
        path.write_text(f"#!{sys.executable}\n{CODEX_LIKE}{dedent(source)}")
        path.chmod(0o700)
        return ProgramRunner(PROGRAMS[preset], CommandRunner([str(path)], **options))

    return make


def with_session(stage, session="old#10,2", **turns):
    told = AssignedSession(id=session, turns=(Turn(role="user", text="Blue, I said."),))
    object.__setattr__(stage.context, "assignment", stage.context.assignment.model_copy(update={"session": told}))
    return stage


def test_a_long_and_hostile_prompt_arrives_whole_on_standard_input(make_stage, drive):
    stage = make_stage(bead={"title": "$(touch hacked) `touch hacked` '; touch hacked; '", "description": "d" * 9000})
    source = """
    import pathlib
    assert prompt == pathlib.Path(os.environ["DISPATCH_PROMPT"]).read_text()
    assert not any("hacked" in word for word in sys.argv)
    print(len(prompt), prompt.count("hacked"))
    """
    outcome = stage.run(drive(source, Preset.ANY))

    assert isinstance(outcome, Completed)
    length, hacked = map(int, stage.messages[0].split())
    assert (length > 9000, hacked) == (True, 3)
    assert list(stage.context.assignment.workspace.iterdir()) == []


def test_the_prompt_says_how_to_end_in_words_and_those_end_the_run(stage, drive):
    source = """
    line = next(line for line in prompt.splitlines() if "DISPATCH: needs_input" in line)
    print(line.strip("- ").split("`")[1], "Which one?")
    """
    assert stage.run(drive(source, Preset.ANY)) == NeedsInput(question="Which one?")


def test_a_run_tells_its_session_usage_message_and_lessons_and_then_its_result(stage, drive):
    source = """
    say("thread.started", thread_id="new")
    message("Well.\\n\\nDISPATCH: lesson: Prices: are in cents\\nDISPATCH: completed: Counted.")
    done()
    """
    assert stage.run(drive(source)) == Completed(summary="Counted.")
    said = [event for event in stage.events if not isinstance(event, ProgressEvent)]
    assert said[:3] == [SessionEvent(id="new#0,0"), UsageEvent(tokens_in=10, tokens_out=2), SessionEvent(id="new#10,2")]
    assert said[3] == ResultEvent(outcome="completed", summary="Counted.")
    assert said[4] == LessonEvent(title="Prices", detail="are in cents")
    assert isinstance(said[5], MessageEvent)
    assert '"thread.started"' in stage.log


def test_a_session_that_is_not_found_any_more_is_begun_anew_with_the_conversation_told(stage, drive):
    source = """
    if resumed:
        assert "Blue, I said." not in prompt
        sys.exit("no rollout found")
    say("thread.started", thread_id="new")
    message("DISPATCH: completed: " + ("It is blue." if "Blue, I said." in prompt else "What colour?"))
    done()
    """
    assert with_session(stage).run(drive(source)) == Completed(summary="It is blue.")
    assert "Its session is not found any more; it begins a new one." in stage.messages
    assert len(stage.identities) == 2


OPENCODE_LIKE = """
import pathlib
match sys.argv[1:]:
    case ["export", session]:
        print(json.dumps({"info": {"id": session}}))
        sys.exit(session == "ses_gone")
    case ["import", file]:
        pathlib.Path("imported").write_text(pathlib.Path(file).read_text())
    case ["run", *options]:
        imported = pathlib.Path("imported")
        if "--session" in options and not imported.exists():
            sys.exit("Session not found")
        known = imported.read_text().strip() if imported.exists() else "nothing"
        part = {"type": "text", "text": f"DISPATCH: completed: It knows {known}."}
        say("text", sessionID="ses_new", part=part)
"""


def test_what_a_program_needs_to_resume_its_session_is_done_before(stage, drive):
    outcome = with_session(stage, "ses_old").run(drive(OPENCODE_LIKE, Preset.OPENCODE))

    assert outcome == Completed(summary='It knows {"info": {"id": "ses_old"}}.')
    assert len(stage.identities) == 3


def test_a_session_that_cannot_be_brought_along_is_begun_anew(stage, drive):
    outcome = with_session(stage, "ses_gone").run(drive(OPENCODE_LIKE, Preset.OPENCODE))

    assert outcome == Completed(summary="It knows nothing.")
    assert len(stage.identities) == 3, "the export, the start that found no session, and the new one"


def test_a_resumed_run_that_fails_after_it_worked_has_failed(stage, drive):
    source = 'say("thread.started", thread_id="old"); message("I try."); sys.exit(3)'

    outcome = with_session(stage).run(drive(source))
    assert isinstance(outcome, Failed)
    assert (outcome.cause, len(stage.identities)) == ("exit 3", 1)


def test_a_new_session_does_not_get_more_time(make_stage, drive):
    source = """
    if resumed:
        time.sleep(0.5)
        sys.exit("no rollout found")
    time.sleep(600)
    """
    assert with_session(make_stage(timeout=1.5)).run(drive(source)) == TimedOut(limit_seconds=1.5)


def test_what_a_program_said_of_its_failure_is_the_cause(stage, drive):
    source = 'say("turn.failed", error={"message": "unexpected status 401 Unauthorized"}); sys.exit(1)'

    outcome = stage.run(drive(source))
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.summary) == ("API key refused", "unexpected status 401 Unauthorized")


def test_words_of_success_before_a_crash_are_no_success(stage, drive):
    outcome = stage.run(drive('print("It is all done."); sys.exit(2)', Preset.ANY))

    assert isinstance(outcome, Failed)
    assert outcome.cause == "exit 2"


def test_a_program_that_stays_after_it_is_done_is_ended_and_its_word_counts(make_stage, drive):
    stage = make_stage(result_linger=0.1)
    assert stage.run(drive('message("DISPATCH: completed: Ok."); done(); time.sleep(600)')) == Completed(summary="Ok.")


def test_silence_after_a_question_reaches_a_human_and_after_other_words_has_failed(make_stage, drive):
    asking = drive('message("Shall I delete the old table?"); time.sleep(600)', silence_limit=1.5)
    assert make_stage().run(asking).question == "Shall I delete the old table?"

    hanging = drive('message("Now I think."); time.sleep(600)', silence_limit=1.5)
    assert make_stage().run(hanging).cause == "silent"


def test_a_reviewer_without_a_verdict_does_not_approve(make_stage, drive):
    node = AssignedNode(workflow="feature", node="review", kind="verify")

    def review(words):
        stage = make_stage()
        assignment = stage.context.assignment.model_copy(update={"workflow": node})
        object.__setattr__(stage.context, "assignment", assignment)
        return stage.run(drive(f"print({json.dumps(words)})", Preset.ANY))

    assert review("It looks fine.").cause == "no verdict"
    assert review("DISPATCH: rejected: no test") == Completed(verdict="rejected", summary="no test")


def test_events_of_our_own_protocol_are_understood_from_any_program(stage, drive):
    source = 'say("usage", tokens_in=3); say("result", outcome="failed", cause="no key")'
    outcome = stage.run(drive(source, Preset.ANY))

    assert outcome == Failed(cause="no key")
    assert UsageEvent(tokens_in=3) in stage.events


def test_tokens_have_the_price_of_the_configuration(stage, drive):
    runner = PricedRunner(drive('done(1_000_000, 500_000); message("ok")'), (Decimal("1.25"), Decimal(10)))
    stage.run(runner)

    assert UsageEvent(tokens_in=1_000_000, tokens_out=500_000, usd=6.25) in stage.events


def test_a_program_that_is_not_installed_is_named(stage):
    outcome = stage.run(ProgramRunner(PROGRAMS[Preset.CODEX], CommandRunner(["no-such-codex"])))

    assert isinstance(outcome, Failed)
    assert (outcome.cause, "no-such-codex" in outcome.summary) == ("not found", True)
