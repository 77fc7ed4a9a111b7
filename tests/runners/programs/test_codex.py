"""Codex: how it is started, and what its events mean."""

from dispatch.models.messages import ProgressEvent, SessionEvent
from workers.runners.programs.codex import DEFAULTS, Codex

CODEX = Codex()
STARTED = {"type": "thread.started", "thread_id": "0199a213-81c0"}


def completed(**item):
    return {"type": "item.completed", "item": {"id": "item_1", **item}}


def turn(tokens_in, tokens_out):
    usage = {"input_tokens": tokens_in, "cached_input_tokens": 1, "output_tokens": tokens_out}
    return {"type": "turn.completed", "usage": usage}


def test_it_reads_its_prompt_from_standard_input_and_options_of_the_user_come_last():
    command = CODEX.command(["/bin/codex", "--model", "x", "--sandbox", "read-only"], "", {})

    assert command[:2] == ["/bin/codex", "exec"]
    assert command[-1] == "-"
    assert command.index(DEFAULTS[-1]) < command.index("--sandbox")
    assert CODEX.command(["codex", "exec"], "", {}).count("exec") == 1


def test_it_resumes_its_own_session_without_what_we_count_by():
    assert CODEX.command(["codex"], "0199a213#100,20", {})[-3:] == ["resume", "0199a213", "-"]


def test_a_run_is_read_into_session_actions_usage_and_message(hear, tmp_path):
    (tmp_path / "a.py").write_text("print('hello')\n")
    command = f"/bin/bash -lc 'cd {tmp_path}/src && make test'"
    heard = hear(
        CODEX,
        STARTED,
        {"type": "turn.started"},
        {"type": "item.started", "item": {"id": "item_1", "type": "command_execution", "command": command}},
        completed(type="command_execution", command=command, aggregated_output="no", exit_code=2, status="failed"),
        completed(type="file_change", changes=[{"path": f"{tmp_path}/a.py", "kind": "add"}], status="completed"),
        completed(type="mcp_tool_call", server="docs", tool="look", arguments={"q": "x"}, result={"content": []}),
        completed(type="reasoning", text="I think."),
        completed(type="todo_list", items=[]),
        completed(type="agent_message", text="Done."),
        turn(300, 60),
        b"plain text",
    )

    assert heard.actions == [
        ("command", {"command": "cd src && make test"}),
        ("edit", {"path": "a.py"}),
        ("docs.look", {"q": "x"}),
    ]
    assert heard.usage == (300, 60, 0)
    assert [event.id for event in heard.of(SessionEvent)] == ["0199a213-81c0#0,0", "0199a213-81c0#300,60"]
    assert (heard.spoken.message, heard.spoken.failure, heard.spoken.ended) == ("Done.", "", True)
    assert heard.text == [b"plain text"]


def test_the_usage_of_a_resumed_session_is_only_what_is_new(hear):
    assert hear(CODEX, STARTED, turn(500, 90), session="0199a213-81c0#300,60").usage == (200, 30, 0)
    assert hear(CODEX, STARTED, turn(200, 40), session="0199a213-81c0#300,60").usage == (200, 40, 0), "counted anew"
    assert hear(CODEX, STARTED, turn(500, 90), session="another#300,60").usage == (500, 90, 0)


def test_one_command_with_another_result_is_another_action(hear):
    def hashes(*results):
        run = {"type": "command_execution", "command": "make test", "exit_code": 1}
        return hear(CODEX, *(completed(**run, aggregated_output=result) for result in results)).hashes

    again, changed = hashes("1 failed in 0.11s", "1 failed in 2.31s"), hashes("1 failed", "2 failed")
    assert again[0] == again[1]
    assert changed[0] != changed[1]


def test_what_a_changed_file_holds_tells_two_edits_apart(hear, tmp_path):
    edit = completed(type="file_change", changes=[{"path": str(tmp_path / "a.py"), "kind": "update"}])
    (tmp_path / "a.py").write_text("one")
    first = hear(CODEX, edit).hashes
    (tmp_path / "a.py").write_text("two")
    assert hear(CODEX, edit).hashes != first


def test_a_failed_turn_is_a_failure_and_a_connection_that_is_tried_again_is_none(hear):
    refused = "unexpected status 401 Unauthorized: invalid x-api-key"
    heard = hear(
        CODEX,
        {"type": "error", "message": "Reconnecting... 1/5"},
        {"type": "turn.failed", "error": {"message": refused}},
    )

    assert [event.message for event in heard.of(ProgressEvent)] == ["Reconnecting... 1/5"]
    assert heard.spoken.failure == refused
    assert heard.spoken.ended


def test_events_of_another_shape_are_of_no_use_and_no_text(hear):
    heard = hear(CODEX, {"type": "item.completed", "item": 3}, {"type": "new.event"}, {"no": "type"}, {"type": None})

    assert (heard.events, heard.text) == ([], [])
