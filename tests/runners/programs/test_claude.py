"""Claude Code: how it is started, and what its stream means."""

from pathlib import Path

import pytest

from dispatch.models.messages import SessionEvent
from workers.runners.programs.claude import DEFAULTS, Claude

CLAUDE = Claude()
SESSION = "79930cbc-9fef-4a3c-9f04-8ee2bc7f07c6"
USAGE = {"input_tokens": 60, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 5, "output_tokens": 1}


def assistant(number, *blocks, parent=None):
    message = {"id": f"msg_{number}", "role": "assistant", "content": list(blocks), "usage": USAGE}
    return {"type": "assistant", "message": message, "parent_tool_use_id": parent, "session_id": SESSION}


def uses(name, tool_id="t1", **arguments):
    return {"type": "tool_use", "id": tool_id, "name": name, "input": arguments}


def gave(content, tool_id="t1", **more):
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": content, **more}
    return {"type": "user", "message": {"role": "user", "content": [block]}, "session_id": SESSION}


def says(text):
    return {"type": "text", "text": text}


def result(**more):
    return {"type": "result", "subtype": "success", "is_error": False, "session_id": SESSION, "result": "Done.", **more}


def test_it_never_asks_a_terminal_and_the_permissions_of_the_user_are_his_alone():
    command = CLAUDE.command(["claude", "--model", "opus"], "", {})
    assert command[:-4] == ["claude", *DEFAULTS, "--model", "opus"]
    assert command[-4:] == ["--print", "--output-format", "stream-json", "--verbose"]

    own = CLAUDE.command(["claude", "--permission-mode=plan"], "", {})
    assert not set(DEFAULTS) & set(own)


@pytest.mark.parametrize("variable", ["HOME", "CLAUDE_CONFIG_DIR"])
def test_a_session_that_began_in_another_worktree_is_named_by_its_file(tmp_path: Path, variable: str):
    file = tmp_path / (".claude" if variable == "HOME" else "") / "projects/-gone-worktree" / f"{SESSION}.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}\n")
    environment = {"HOME": "/nowhere", variable: str(tmp_path)}

    assert CLAUDE.command(["claude"], SESSION, environment)[-2:] == ["--resume", str(file)]
    assert CLAUDE.command(["claude"], "another", environment)[-2:] == ["--resume", "another"]
    assert CLAUDE.command(["claude"], "../../*", environment)[-2:] == ["--resume", "../../*"]


def test_a_run_is_read_into_session_actions_usage_and_message(hear, tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    models = {
        "opus": {"inputTokens": 120, "cacheReadInputTokens": 80, "cacheCreationInputTokens": 10, "outputTokens": 50},
        "haiku": {"inputTokens": 7, "outputTokens": 3},
    }
    heard = hear(
        CLAUDE,
        {"type": "system", "subtype": "init", "session_id": SESSION, "cwd": "/w", "tools": ["Bash"]},
        assistant(1, says("I begin.")),
        assistant(1, uses("Bash", command="make test", description="Run the tests")),
        gave("1 failed", is_error=True),
        assistant(2, uses("Edit", "t2", file_path=f"{tmp_path}/a.py", old_string="x", new_string="y")),
        gave([{"type": "text", "text": "The file was updated."}], "t2"),
        assistant(3, uses("Read", "t3", file_path=f"{tmp_path}/b.py", limit=20), parent="t9"),
        gave("text", "t3"),
        assistant(3, uses("TodoWrite", "t4", todos=[])),
        gave("ok", "t4"),
        assistant(4, says("Of another agent."), parent="t9"),
        assistant(5, says("Done.")),
        result(total_cost_usd=0.25, usage=USAGE, modelUsage=models),
    )

    assert heard.actions == [
        ("command", {"command": "make test"}),
        ("edit", {"path": "a.py"}),
        ("read", {"path": "b.py", "limit": 20}),
    ]
    assert heard.of(SessionEvent) == [SessionEvent(id=SESSION)]
    assert heard.usage == (5 * 105, 53, 0.25), "told message by message, and the rest at the end"
    assert (heard.spoken.message, heard.spoken.ended, heard.spoken.denied) == ("Done.", True, [])


def test_a_permission_that_nobody_gave_is_noticed_before_it_ends(hear):
    words = "Claude requested permissions to write to /etc/hosts, but you haven't granted it yet."
    heard = hear(CLAUDE, assistant(1, uses("Write", file_path="/etc/hosts", content="x")), gave(words, is_error=True))

    assert heard.spoken.denied == ["write to /etc/hosts"]
    assert hear(CLAUDE, result(permission_denials=[{"tool_name": "WebFetch"}])).spoken.denied == ["the tool WebFetch"]


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (result(is_error=True, result="Invalid API key"), "Invalid API key"),
        ({"type": "result", "subtype": "error_max_turns", "is_error": False}, "error_max_turns"),
        ({"type": "result", "subtype": "error_during_execution", "errors": ["No conversation"]}, "No conversation"),
    ],
)
def test_an_error_at_the_end_is_a_failure(hear, event, failure):
    heard = hear(CLAUDE, event)

    assert (heard.spoken.failure, heard.spoken.ended) == (failure, True)
    assert heard.usage == (0, 0, 0)
