"""An agent may print what it likes: memory, log and events stay bounded, and the run goes on."""

import psutil

from dispatch.models.messages import ActionEvent
from dispatch.models.outcome import Completed, Failed
from workers.runners import CommandRunner
from workers.runners.transcript import MAX_LINE, MAX_LOG, MAX_PLAIN_EVENTS

MEGABYTE = 1 << 20


def test_a_flood_of_output_is_drained_into_a_bounded_log(stage, program):
    before = psutil.Process().memory_info().rss
    agent = program(
        """
        line = b"x" * 65535 + b"\\n"
        for _ in range(600):
            os.write(1, line)
            os.write(2, line)
        say("drained")
        """
    )

    assert stage.run(agent) == Completed()
    assert len(stage.events) == 601 <= MAX_PLAIN_EVENTS
    assert stage.messages[-1] == "drained"
    assert MAX_LOG < (stage.context.run_directory / "agent.log").stat().st_size < MAX_LOG + 200
    assert stage.log.endswith("not kept]\n")
    assert psutil.Process().memory_info().rss - before < 20 * MEGABYTE


def test_many_plain_lines_become_a_bounded_number_of_events(stage, program):
    assert stage.run(program('os.write(1, b"line\\n" * 5000); say("event")')) == Completed()

    assert stage.messages[:2] == ["line", "line"]
    assert "agent.log" in stage.messages[MAX_PLAIN_EVENTS]
    assert stage.messages[MAX_PLAIN_EVENTS + 1 :] == ["event"]
    assert stage.log.count("line\n") == 5000


def test_a_line_without_end_is_cut_and_noted(stage, program):
    before = psutil.Process().memory_info().rss
    agent = program(
        """
        for _ in range(300):
            os.write(1, b"y" * 100000)
        os.write(1, b"\\n")
        say("after")
        os.write(1, b"z" * 3000000)
        """
    )

    assert stage.run(agent) == Completed()
    assert [len(message) for message in stage.messages] == [2000, 5, 2000]
    assert stage.messages[1] == "after"
    assert stage.log.count("cut here") == 2
    assert len(stage.log) < 2 * MAX_LINE + 200
    assert psutil.Process().memory_info().rss - before < 20 * MEGABYTE


def test_an_event_of_just_the_longest_line_is_read(stage, program):
    agent = program(f'say("m" * ({MAX_LINE} - len(json.dumps(dict(type="progress", message="")))))')

    assert stage.run(agent) == Completed()
    assert len(stage.messages[0]) > MAX_LINE - 100


def test_binary_garbage_is_text_that_the_database_can_hold(stage, program):
    agent = program(
        """
        os.write(1, bytes(range(256)) * 200)
        os.write(1, b'\\n{"type": "progress", "message": "nul \\\\u0000 here"}\\n')
        os.write(1, b'{"type": "action", "action_type": "x", "action_data": {"a\\\\u0000": ["\\\\u0000"]}}\\n')
        os.write(1, b'{"type": "progress", "message": "\\\\ud800"}\\n')
        os.write(1, b'{"type": "progress"' + b"[" * 100000 + b"\\\\u0000\\n")
        os.write(2, b"\\xff\\x00\\xfe")
        sys.exit(1)
        """
    )
    outcome = stage.run(agent)

    assert outcome == Failed(cause="exit 1", output="\ufffd\ufffd\ufffd")
    assert "nul \ufffd here" in stage.messages
    assert [event.action_data for event in stage.events if isinstance(event, ActionEvent)] == [{"a\ufffd": ["\ufffd"]}]
    assert not [message for message in stage.messages if "\x00" in message or not message.encode()]


def test_who_prints_nothing_leaves_no_log(stage):
    assert stage.run(CommandRunner(["true"])) == Completed()
    assert not (stage.context.run_directory / "agent.log").exists()


def test_a_log_that_cannot_be_written_is_told_and_does_not_end_the_agent(stage):
    runner = CommandRunner(["sh", "-c", 'rm -r "$(dirname "$DISPATCH_ASSIGNMENT")"; echo text; echo more'])

    assert stage.run(runner) == Completed()
    assert stage.messages == ["agent.log ends here: No such file or directory", "text", "more"]
