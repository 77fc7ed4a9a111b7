"""What docs/context.md says is so."""

import re
from pathlib import Path

from dispatch.context import AGENTS_FILE_ROOM, MEMORY_ROOM, SECTIONS
from dispatch.context.compaction import MAX_CHARACTERS, MAX_TURN, MAX_TURNS
from dispatch.models.messages import AGENT_EVENT
from dispatch.settings import SessionSettings, format_duration

PAGE = (Path(__file__).parents[2] / "docs/context.md").read_text(encoding="utf-8")
PROMPTS = Path(__file__).parent / "prompts"


def test_the_table_has_the_sections_in_their_order_with_their_rooms() -> None:
    rows = re.findall(r"^\| ([A-Z][^|]+) \| ([\d,]+) \|", PAGE, re.MULTILINE)
    assert rows == [(section.title, f"{section.room:,}") for section in SECTIONS]


def test_the_prompt_on_the_page_is_the_one_that_is_rendered() -> None:
    found = re.search(r"<!-- example: prompt -->\n````markdown\n(.*?)^````$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    assert found[1] == (PROMPTS / "example.md").read_text(encoding="utf-8")


def test_the_figures_on_the_page_are_those_of_the_code() -> None:
    for words in (
        f"AGENTS.md ({AGENTS_FILE_ROOM:,})",
        f"are told: {MEMORY_ROOM:,} characters",
        f"at most {MAX_TURN:,} characters, a conversation {MAX_CHARACTERS:,} and a hundred turns",
        f'lifetime = "{format_duration(SessionSettings().lifetime)}"',
    ):
        assert words in PAGE
    assert MAX_TURNS == 100


def test_the_events_on_the_page_are_events() -> None:
    lines = re.findall(r'^\{"type": .*\}$', PAGE, re.MULTILINE)
    assert [AGENT_EVENT.validate_json(line).type for line in lines] == ["session", "message"]
