"""opencode: how it is started, and what its events mean."""

from dispatch.models.messages import SessionEvent
from workers.runners.programs.base import Step
from workers.runners.programs.opencode import OpenCode

OPENCODE = OpenCode()
SESSION = "ses_dd968147effeOGKx82wj6CqMGZ"


def event(kind, **part):
    return {"type": kind, "timestamp": 1, "sessionID": SESSION, "part": part}


def used(tool, status="completed", **state):
    return event("tool_use", type="tool", tool=tool, state={"status": status, **state})


def finished(reason):
    tokens = {"total": 125, "input": 60, "output": 20, "reasoning": 5, "cache": {"write": 0, "read": 40}}
    return event("step_finish", reason=reason, tokens=tokens, cost=0.5)


def test_it_is_started_and_resumed_with_its_session_brought_into_the_new_worktree(tmp_path):
    assert OPENCODE.command(["opencode", "-m", "x/y"], "", {}) == ["opencode", "run", "--format", "json", "-m", "x/y"]
    assert OPENCODE.command(["opencode", "run"], SESSION, {})[-2:] == ["--session", SESSION]
    copy = tmp_path / "session.json"
    assert OPENCODE.steps(["opencode", "-m", "x/y"], SESSION, tmp_path) == (
        Step(["opencode", "export", SESSION], output=copy),
        Step(["opencode", "import", str(copy)]),
    )


def test_a_run_is_read_into_session_actions_usage_and_message(hear, tmp_path):
    (tmp_path / "a.py").write_text("x")
    heard = hear(
        OPENCODE,
        event("step_start", type="step-start"),
        event("text", text="I begin."),
        used("bash", input={"command": "make", "description": "x"}, output="no", metadata={"exit": 1}),
        used("bash", status="running", input={"command": "make"}),
        finished("tool-calls"),
        used("write", input={"filePath": str(tmp_path / "a.py"), "content": "x"}, output="Wrote."),
        used("grep", input={"pattern": "x", "path": str(tmp_path / "src")}, output="a.py:1"),
        event("text", text="Done."),
        finished("stop"),
    )

    assert heard.actions == [
        ("command", {"command": "make"}),
        ("edit", {"path": "a.py"}),
        ("grep", {"path": "src", "pattern": "x"}),
    ]
    assert heard.of(SessionEvent) == [SessionEvent(id=SESSION)]
    assert heard.usage == (200, 50, 1.0)
    assert (heard.spoken.message, heard.spoken.ended) == ("Done.", True)


def test_a_permission_that_it_refused_itself_is_its_last_word(hear):
    rejected = "The user rejected permission to use this specific tool call."
    heard = hear(
        OPENCODE,
        event("text", text="I write it elsewhere."),
        used("write", status="error", input={"filePath": "/etc/hosts"}, error=rejected),
        finished("tool-calls"),
    )

    assert heard.spoken.denied == ['write {"filePath": "/etc/hosts"}']
    assert (heard.spoken.message, heard.spoken.ended) == ("", False)


def test_an_error_is_a_failure(hear):
    error = {"type": "error", "sessionID": SESSION, "error": {"name": "APIError", "data": {"message": "Unauthorized"}}}

    assert hear(OPENCODE, error).spoken.failure == "APIError: Unauthorized"
