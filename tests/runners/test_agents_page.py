"""The agents shown in docs/agents.md work as they stand there."""

import re
import sys
from pathlib import Path

import pytest

from dispatch.models.messages import AGENT_EVENT, Assignment, ResultEvent
from dispatch.models.outcome import Completed, NeedsInput
from workers.runners import CommandRunner
from workers.runners.environment import ALWAYS_PASSED

PAGE = (Path(__file__).parents[2] / "docs/agents.md").read_text()


@pytest.fixture
def example(tmp_path):
    """Save an example of the page as a program; return its file."""

    def save(language):
        found = re.search(rf"<!-- example: {language} -->\n```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
        assert found, f"no {language} example on the page"
        path = tmp_path / f"example.{language}"
        path.write_text(found[1])
        path.chmod(0o700)
        return path

    return save


def test_the_python_agent_notes_asks_and_sees_that_it_is_done(make_stage, example):
    runner = CommandRunner([sys.executable, str(example("python"))])
    noted, again, asking = (
        make_stage(bead=bead)
        for bead in ({"description": "It works."}, {"description": "It works."}, {"title": "Other", "description": ""})
    )

    assert noted.run(runner) == Completed(summary="Noted.")
    assert (noted.context.assignment.workspace / "NOTES.md").read_text() == "## A bead\nIt works.\n"
    assert again.run(runner) == Completed(summary="It is noted already.", nothing_to_do=True)
    assert asking.run(runner) == NeedsInput(question="What shall I note?")
    assert [event.type for event in noted.events] == ["progress", "action", "action", "result"]


def test_the_shell_agent_cleans_files_and_sees_that_it_is_done(make_stage, example):
    runner = CommandRunner([str(example("sh"))])
    stage, again = make_stage(), make_stage()
    source = stage.context.assignment.workspace / "main.c"
    source.write_text("int main;   \n")

    assert stage.run(runner) == Completed(summary="Cleaned 1 files.")
    assert source.read_text() == "int main;\n"
    assert [event.type for event in stage.events] == ["progress", "action", "result"]
    assert again.run(runner) == Completed(summary="All files were clean.", nothing_to_do=True)


def test_the_function_on_the_page_works(make_stage, function):
    source = re.search(r"```python\n(from dispatch.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert source

    stage = make_stage()
    assert stage.run(function(source[1])) == Completed(summary="done")
    assert stage.messages == ["A bead"]


def test_the_page_names_every_field_and_every_variable():
    for name in (*Assignment.model_fields, *ResultEvent.model_fields, *ALWAYS_PASSED, "DISPATCH_ASSIGNMENT"):
        assert f"`{name}" in PAGE
    for kind in AGENT_EVENT.json_schema()["discriminator"]["mapping"]:
        assert f"| `{kind}` |" in PAGE


def test_the_bead_on_the_page_overruns_its_limit_once(make_stage):
    description = re.search(r"````markdown\n(.*?)^````", PAGE, re.DOTALL | re.MULTILINE)
    assert description
    literal = Path(__file__).parents[2] / "examples/agents/literal.py"
    runner = CommandRunner([sys.executable, "-I", "-S", str(literal)])
    first, second = (make_stage(bead={"description": description[1]}, timeout=2, attempt=n) for n in (1, 2))

    assert first.run(runner).kind == "timed_out"
    assert second.run(runner).kind == "completed"
