"""An agent program that says nothing any more is stopped: it waits for an answer, or it hangs."""

import pytest

from dispatch.models.outcome import Completed, Failed, NeedsInput
from workers.runners.asking import asks

LIMIT = 1.5


def test_a_program_that_never_says_anything_has_failed_as_silent(stage, program, living):
    source = "import pathlib; pathlib.Path('pids').write_text(' '.join(map(str, family()))); forever()"
    agent = program(source, silence_limit=LIMIT)
    outcome = stage.run(agent)

    assert isinstance(outcome, Failed)
    assert outcome.cause == "silent"
    assert "silence_limit" in outcome.summary
    assert not living([int(pid) for pid in (stage.context.assignment.workspace / "pids").read_text().split()])


def test_a_question_without_an_end_of_line_reaches_a_human(stage, program):
    agent = program("os.write(1, b'Working.\\nOverwrite the file? [y/N] '); forever()", silence_limit=LIMIT)

    outcome = stage.run(agent)
    assert isinstance(outcome, NeedsInput)
    assert outcome.question.endswith("Overwrite the file? [y/N]")


def test_a_request_for_a_permission_on_standard_error_reaches_a_human(stage, program):
    agent = program("os.write(2, b'Permission required: write /etc/hosts\\n'); forever()", silence_limit=LIMIT)

    assert stage.run(agent) == NeedsInput(
        question="Permission required: write /etc/hosts",
        summary="The agent program waited for an answer, and was stopped.",
    )


def test_any_byte_is_a_sign_of_life(stage, program):
    agent = program("for _ in range(30): os.write(2, b'.'); time.sleep(0.1)", silence_limit=2.5)

    assert stage.run(agent) == Completed()


def test_a_result_that_was_said_before_the_silence_counts(make_stage, program):
    agent = program('say("", type="result", outcome="completed", summary="Done."); forever()', silence_limit=LIMIT)

    assert make_stage(result_linger=1).run(agent) == Completed(summary="Done.")


def test_the_deadline_goes_before_a_longer_silence(make_stage, program):
    assert make_stage(timeout=0.3).run(program("forever()", silence_limit=60)).kind == "timed_out"


@pytest.mark.parametrize(
    "words",
    [
        "Which database shall I use?",
        "Shall I go on? (y/n) ",
        "Proceed? [Y/n/a]:",
        "I looked at it.\n\n**Which of the two do you want?**",
        "Claude requested permissions to write to /etc/hosts, but you haven't granted it yet.",
        "permission requested: external_directory (/tmp/*); auto-rejecting",
        "Enter the passphrase for key 'id':",
        "Press Enter to continue",
        "Please log in with `codex login`",
        "I am waiting for your decision.",
        "This needs approval before I go on",
    ],
)
def test_these_words_ask(words):
    assert asks(words)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Running the tests",
        "Is it done? Yes, it is.",
        "Why not?\nReading the manual now.",
        "GET /a?b=c 200",
        "Mending the login form and the password reset",
        "test_permissions.py::test_approval PASSED",
        "Waiting for the server to start",
    ],
)
def test_these_words_do_not_ask(words):
    assert not asks(words)
