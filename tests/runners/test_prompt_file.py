"""What an agent program finds besides its assignment: a prompt, and the session that it is to resume."""

import stat
from pathlib import Path
from typing import Any

from dispatch.context import render
from dispatch.models.messages import AssignedSession
from dispatch.models.outcome import Completed

TELLS = """
page = open(os.environ["DISPATCH_PROMPT"], encoding="utf-8").read()
say(json.dumps([os.environ["DISPATCH_PROMPT"], page, os.environ.get("DISPATCH_SESSION_ID")]))
"""


def told(stage: Any, runner: Any) -> tuple[Path, str, str | None]:
    import json

    assert stage.run(runner) == Completed()
    path, page, session = json.loads(stage.messages[0])
    return Path(path), page, session


def test_a_program_finds_its_prompt_in_a_file_that_only_its_user_reads(make_stage: Any, program: Any) -> None:
    stage = make_stage(bead={"description": "Ä and \u2028."})
    path, page, session = told(stage, program(TELLS))
    assert page == render(stage.context.assignment)
    assert path == stage.context.run_directory / "prompt.md"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert session is None


def test_a_program_that_resumes_finds_its_session(make_stage: Any, program: Any) -> None:
    stage = make_stage()
    resumed = stage.context.assignment.model_copy(update={"session": AssignedSession(id="abc")})
    object.__setattr__(stage.context, "assignment", resumed)
    assert told(stage, program(TELLS))[2] == "abc"
