"""The agents shown in docs/agents.md and in the README work as they stand there."""

import re
import sys
from pathlib import Path

import pytest

from dispatch.context import LAST_WORD
from dispatch.models.messages import AGENT_EVENT, Assignment, ResultEvent
from dispatch.models.outcome import Completed, NeedsInput
from dispatch.settings import Preset
from workers.runners import CommandRunner
from workers.runners.environment import ALWAYS_PASSED
from workers.runners.programs.base import Spoken
from workers.runners.programs.last_words import result_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/agents.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.fixture
def example(tmp_path):
    """Save an example of a page as a program; return its file."""

    def save(language, page=PAGE):
        found = re.search(rf"<!-- example: {language} -->\n```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        assert found, f"no {language} example on the page"
        path = tmp_path / f"example.{language}"
        path.write_text(found[1])
        path.chmod(0o700)
        return path

    return save


@pytest.mark.parametrize(("page", "first"), [(PAGE, ["progress"]), (README, [])], ids=["page", "readme"])
def test_the_python_agent_notes_asks_and_sees_that_it_is_done(make_stage, example, page, first):
    runner = CommandRunner([sys.executable, str(example("python", page))])
    noted, again, asking = (
        make_stage(bead=bead)
        for bead in ({"description": "It works."}, {"description": "It works."}, {"title": "Other", "description": ""})
    )

    assert noted.run(runner) == Completed(summary="Noted.")
    assert (noted.context.assignment.workspace / "NOTES.md").read_text() == "## A bead\nIt works.\n"
    assert again.run(runner) == Completed(summary="It is noted already.", nothing_to_do=True)
    assert asking.run(runner) == NeedsInput(question="What shall I note?")
    assert [event.type for event in noted.events] == [*first, "action", "action", "result"]


def test_the_shell_agent_of_the_readme_trims_pages_and_sees_that_it_is_done(make_stage, example):
    runner = CommandRunner([str(example("sh", README))])
    page = make_stage().context.assignment.workspace / "page.md"
    page.write_text("A page.  \nIt ends.\n")

    assert make_stage().run(runner) == Completed(summary="Trimmed.")
    assert page.read_text() == "A page.\nIt ends.\n"
    assert make_stage().run(runner) == Completed(summary="Nothing to trim.", nothing_to_do=True)


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


def test_the_page_names_every_preset_and_every_last_word_with_what_it_means():
    for preset in Preset:
        assert f"| `{preset}` |" in PAGE
    said = re.findall(rf"`({LAST_WORD} (\w+): )", PAGE)
    results = {word: result_of(Spoken(message=f"{line}x: y"), is_review=False) for line, word in said}
    assert set(results) == {"completed", "nothing_to_do", "needs_input", "failed", "approved", "rejected", "lesson"}
    assert results["nothing_to_do"].nothing_to_do
    assert [results[word].outcome for word in ("needs_input", "failed")] == ["needs_input", "failed"]
    assert [results[word].verdict for word in ("approved", "rejected")] == ["approved", "rejected"]


def test_the_bead_on_the_page_overruns_its_limit_once(make_stage):
    description = re.search(r"````markdown\n(.*?)^````", PAGE, re.DOTALL | re.MULTILINE)
    assert description
    literal = Path(__file__).parents[2] / "examples/agents/literal.py"
    runner = CommandRunner([sys.executable, "-I", "-S", str(literal)])
    first, second = (make_stage(bead={"description": description[1]}, timeout=2, attempt=n) for n in (1, 2))

    assert first.run(runner).kind == "timed_out"
    assert second.run(runner).kind == "completed"
