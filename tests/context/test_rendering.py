"""The prompt, compared letter for letter with the pages in `prompts/`.

`DISPATCH_WRITE_PROMPTS=1 pytest tests/context/test_rendering.py` writes the pages anew; look at the difference then.
"""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dispatch.context import LAST_WORD, MOST_CHARACTERS, SECTIONS, render
from dispatch.models.messages import AssignedSession, Assignment, FinishedDependency, HumanAdvice, PastError
from dispatch.models.session import Turn
from tests.context.cases import CASES, everything, minimal

PROMPTS = Path(__file__).parent / "prompts"
WRITES = "DISPATCH_WRITE_PROMPTS"


def headings(page: str) -> list[str]:
    """The headings of a page as Markdown has them."""
    tokens = MarkdownIt().parse(page)
    return [
        f"{'#' * int(token.tag[1])} {tokens[number + 1].content}"
        for number, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def sections(page: str) -> dict[str, str]:
    """The parts of a page by their headings, without what is quoted in them taken for one."""
    tokens = [token for token in MarkdownIt().parse(page) if token.type == "heading_open" and token.tag == "h2"]
    lines = page.split("\n")
    starts = [token.map[0] for token in tokens if token.map] + [len(lines)]
    return {lines[start].removeprefix("## "): "\n".join(lines[start:end]) for start, end in pairwise(starts)}


@pytest.fixture(params=CASES, name="case")
def _case(request: pytest.FixtureRequest) -> tuple[str, Assignment]:
    """Given an assignment and its name."""
    return request.param, CASES[request.param]()


def test_the_page_is_the_one_that_is_kept(case: tuple[str, Assignment]) -> None:
    name, assignment = case
    page, kept = render(assignment), PROMPTS / f"{name}.md"
    if os.environ.get(WRITES):
        kept.write_text(page, encoding="utf-8")
    assert page == kept.read_text(encoding="utf-8")


def test_every_section_keeps_to_its_room_and_their_order_is_fixed(case: tuple[str, Assignment]) -> None:
    name, assignment = case
    page = render(assignment.model_copy(update={"instructions": assignment.instructions.replace("# ", "")}))
    found = sections(page)
    order = [section.title for section in SECTIONS]
    assert list(found) == [title for title in order if title in found]
    rooms = {section.title: section.room for section in SECTIONS}
    assert {title: len(text) for title, text in found.items() if len(text) > rooms[title]} == {}
    assert len(page) <= MOST_CHARACTERS
    assert name != "too_much" or list(found) == order


def test_what_is_cut_says_how_much(case: tuple[str, Assignment]) -> None:
    name, assignment = case
    notes = re.findall(
        r"\[\.\.\. [\d,]+ of [\d,]+ characters left out \.\.\.\]|\(\d+ .* left out\.\)", render(assignment)
    )
    assert bool(notes) == (name == "too_much")


HOSTILE = st.text(
    alphabet=st.sampled_from(
        ["#", "`", "~", "-", "=", ">", "<", "!", "\n", "\r", " ", "\t", "a", "*", "[", "]", "\u2028"]
    ),
    max_size=200,
)


@settings(max_examples=150, deadline=None)
@given(text=HOSTILE)
def test_no_text_of_others_makes_a_heading_or_swallows_one(text: str) -> None:
    line, full = " ".join(text.split()) or "x", everything()
    bead = full.bead.model_copy(
        update={"id": line[:50], "title": text or "x", "description": text, "notes": text, "labels": (text,)}
    )
    moment = full.errors[0].timestamp
    assignment = full.model_copy(
        update={
            "instructions": "Be kind.",
            "bead": bead,
            "project": full.project.model_copy(update={"agents_md": text}),
            "errors": (PastError(timestamp=moment, error=text, dispatch=1),),
            "advice": (HumanAdvice(timestamp=moment, by=text, asked=text, advice=text),),
            "dependencies": (FinishedDependency(id=text, title=text, status=text, close_reason=text),),
            "memory": text,
            "lessons": text,
            "warnings": (text,),
            "session": AssignedSession(turns=(Turn(role="user", text=text), Turn(role="note", text=text))),
        }
    )
    _first, *rest = headings(render(assignment))
    empty = {
        title
        for title, is_empty in (
            ("What is remembered about the project", not text),
            ("Lessons", not text.strip()),
        )
        if is_empty
    }
    assert rest == [f"## {section.title}" for section in SECTIONS if section.title not in empty]


@settings(max_examples=100, deadline=None)
@given(instructions=HOSTILE)
def test_a_fence_that_a_persona_leaves_open_is_closed(instructions: str) -> None:
    page = render(minimal(instructions=instructions))
    assert headings(page)[-2:] == ["## Limits", "## How to end"]


def test_a_program_that_resumes_its_own_session_is_not_told_the_conversation() -> None:
    full = everything()
    assert full.session is not None
    resumed = full.model_copy(update={"session": full.session.model_copy(update={"id": "abc"})})
    page = render(resumed)
    assert "## The conversation so far" not in page
    assert "Your session of the last attempt goes on." in page


@pytest.mark.parametrize("kind", ["task", "verify"])
def test_a_program_that_writes_text_is_told_to_end_in_words_and_the_rest_of_the_page_is_the_same(kind: str) -> None:
    full = everything()
    assert full.workflow is not None
    assignment = full.model_copy(update={"workflow": full.workflow.model_copy(update={"kind": kind})})
    page, _, ending = render(assignment, by_text=True).rpartition("\n## How to end")
    assert page == render(assignment).rpartition("\n## How to end")[0]
    assert len(ending) < SECTIONS[-1].room
    words = ("completed", "nothing_to_do", "failed", "lesson") if kind == "task" else ("approved", "rejected")
    for word in (*words, "needs_input"):
        assert f"`{LAST_WORD} {word}: " in ending


def test_what_went_wrong_is_told_newest_first() -> None:
    page = render(everything())
    assert page.index("Attempt 2, 2026-09-25 14:00 UTC") < page.index("Attempt 1, 2026-09-25 13:00 UTC")
