"""In which words a bead asks for somebody, and which only look like it."""

import time
from typing import Any

import pytest

from dispatch import Bead, PersonaMatcher
from dispatch.interop import BeadEntry, read_entries
from dispatch.models.identity import BeadId
from dispatch.routing import HintSource


def bead(title: str = "Do it", **fields: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), title=title, **fields)


@pytest.fixture(scope="module")
def matcher() -> PersonaMatcher:
    return PersonaMatcher()


ANYWHERE = [
    ("ask the web designer to make the header calmer", "web-designer"),
    ("Ask the Web-Designer to make the header calmer", "web-designer"),
    ("Please ask our QA team to look", "qa-engineer"),
    ("Could you ask the backend_engineer to look?", "backend-engineer"),
    ("It is red. Ask the SRE to look", "devops-engineer"),
    ("[web-designer] Calmer header", "web-designer"),
    ("[WEB DESIGNER] Calmer header", "web-designer"),
    ("[ web designer ] Calmer header", "web-designer"),
    ("[backend] Slow answer", "backend-engineer"),
    ("[docs] Say how", "documentation-manager"),
    ("[P1] [qa] Verify", "qa-engineer"),
    ("[urgent][tester] Verify", "qa-engineer"),
    ("[default/web-designer] Calmer header", "web-designer"),
    ("[web designer agent] Calmer header", "web-designer"),
    ("[QA only] Verify", "qa-engineer"),
    ("web-designer: calmer header", "web-designer"),
    ("**Web designer**: calmer header", "web-designer"),
    ("**Web designer:** calmer header", "web-designer"),
    ("QA: verify the fix", "qa-engineer"),
    ("pm: which of the two?", "product-manager"),
    ("Product Manager : which of the two?", "product-manager"),
    ("the reviewer: have a look", "code-reviewer"),
    ("for web-designer: calmer header", "web-designer"),
    ("For the QA engineer: verify", "qa-engineer"),
    ("This is for the tech writer: say how", "documentation-manager"),
    ("Task for devops: mend the image", "devops-engineer"),
    ("for the web designer agent", "web-designer"),
    ("For the data engineer agent, please", "data-engineer"),
    ("This task is meant for the security-engineer agent and nobody else", "security-engineer"),
    ("Work for the qa-engineer agent", "qa-engineer"),
    ("Calmer header (for the web-designer agent)", "web-designer"),
    ("Calmer header for web-designer agent", "web-designer"),
    ("Mend it. For backend agent.", "backend-engineer"),
    ("**FOR WEB DESIGNER AGENT**", "web-designer"),
    ("Calmer header **for the Web-Designer agent:** now", "web-designer"),
    ("**FOR CTO AGENT** Which one?", "cto"),
    # One typing slip away.
    ("backend-enginer: slow answer", "backend-engineer"),
    ("[backend enginneer] slow answer", "backend-engineer"),
    ("[backend-emgineer] slow answer", "backend-engineer"),
    ("[web-desinger] calmer header", "web-designer"),
    ("wbe designer: calmer header", "web-designer"),
    ("[frontned] calmer header", "frontend-engineer"),
    ("Ask the projectmanager to plan it", "project-manager"),
    ("Ask the back-end engineer to mend it", "backend-engineer"),
    ("Ask the arcitect to look", "cto"),
]

NOBODY = [
    "",
    "Do it",
    # Headings of titles and paragraphs.
    "fix: login",
    "Fix: login of the QA engineer",
    "note: see below",
    "for example: this",
    "For now: this",
    "TODO: more",
    "docs: say how",
    "UI: style of the list",
    "Web: style of the list",
    "Security: no secrets in logs",
    "data: three columns",
    "API: one more field",
    "CI: one more job",
    "test: more of them",
    "Code review: all of it",
    "Code Review Findings: three",
    "Design: two ways",
    "Agent: idle",
    "For web: another page",
    "For agents: use JSON",
    "https://qa.example.org: is down",
    "qa://example: is down",
    "12:30",
    "QA:",
    "P0: now",
    # Brackets that are none of ours.
    "[x] done",
    "[Bug] [P0] now",
    "[TEST] a simple one",
    "[feedback] shorter output",
    "[Code Review] all of it",
    "[UI Overhaul] all of it",
    "[qa](https://example.org) has the list",
    "The list[qa] is empty",
    # A short name is never a slip for another.
    "cdo: which one?",
    "cmo: which one?",
    "[am] early",
    "[qs] now",
    "[wed] now",
    "[sure] now",
    "[backed] by a file",
    "[date-engineer] now",
    "[ci-engineer] now",
    "[ui designs] two of them",
    # Another form of the word is another word.
    "reviewed: all of it",
    "Code reviewed: all of it",
    "reviewers: two of them",
    "For reviewers: begin with the tests",
    "Web designed: two pages",
    "previewer: zoom",
    "designs: two of them",
    # Two slips are too many.
    "backend-enginr: slow",
    "[frotned] calmer header",
    # A persona in the text is not yet a wish.
    "Show the web designer in the list of roles",
    "Let users ask the CEO to decide",
    "A form in which one can ask a tester to verify",
    "Add the reasons of the QA engineer agent to the prompt",
    "Timers for scheduled agent callbacks",
    "Define the motives of the CEO for agent runs",
    "Define motives for the CEO agent as the text has them",
    "Rebuild the builder",
    "request tester",
]


class TestText:
    @pytest.mark.parametrize(("text", "persona"), ANYWHERE)
    def test_a_wish_counts_in_title_and_description(self, matcher: PersonaMatcher, text: str, persona: str) -> None:
        hints = [matcher.hint(bead(text)), matcher.hint(bead(description=text))]
        assert [(hint.name, hint.source, hint.known) for hint in hints if hint] == [
            (persona, HintSource.TITLE, True),
            (persona, HintSource.DESCRIPTION, True),
        ]
        assert matcher.extract_persona_hint(bead(text)) == persona

    @pytest.mark.parametrize("text", NOBODY)
    def test_nobody_is_named_by_what_only_looks_like_a_wish(self, matcher: PersonaMatcher, text: str) -> None:
        assert matcher.hint(bead(text or "x")) is None
        assert matcher.hint(bead(description=text)) is None
        assert matcher.hint(bead(description=f"Before.\n\n{text}\nAfter.")) is None

    @pytest.mark.parametrize(
        "text",
        [
            "The header is too loud.\n\nAsk the web designer to make it calmer.",
            "The header is too loud.\nweb-designer: make it calmer",
            "The header is too loud.\n\n## Web designer: make it calmer",
            "The header is too loud.\n- **FOR WEB DESIGNER AGENT**",
            "```\nqa-engineer: in code\n```\nAsk the web designer to make it calmer.",
            "\n\n[web-designer] The header is too loud.",
        ],
    )
    def test_a_wish_may_stand_further_down_in_a_description(self, matcher: PersonaMatcher, text: str) -> None:
        assert matcher.extract_persona_hint(bead(description=text)) == "web-designer"

    @pytest.mark.parametrize(
        "text",
        [
            "- Ask the web designer to make it calmer",
            "1. ask the web designer to make it calmer",
            "> Ask the web designer to make it calmer",
            "| for the web designer agent | x |",
            "Roles:\n- web-designer: makes pages\n- qa-engineer: breaks them",
            "Roles:\n\n    web-designer: makes pages",
            "```yaml\nweb-designer: makes pages\n```",
            "~~~\nAsk the web designer to make it calmer",
            "Who it was.\nDesigner: Ada",
            "Backend:\n- one more field",
            "Stack.\nBackend: Flask\nFrontend: React",
            f"{'long ' * 2_000}\nweb-designer: make it calmer",
        ],
    )
    def test_lists_quotations_and_code_speak_to_nobody(self, matcher: PersonaMatcher, text: str) -> None:
        assert matcher.hint(bead(description=text)) is None

    def test_the_tags_of_an_auto_filed_title_say_what_failed_and_not_who_shall_mend_it(
        self, matcher: PersonaMatcher
    ) -> None:
        assert matcher.extract_persona_hint(bead("[frontend] Page is white")) == "frontend-engineer"
        assert matcher.hint(bead("[auto-filed] [frontend] Page is white")) is None
        assert matcher.hint(bead("[frontend] Page is white", labels=("auto-filed",))) is None
        named = bead("[auto-filed] [Web Designer] Page is white")
        assert matcher.extract_persona_hint(named) == "web-designer"

    @pytest.mark.parametrize(
        "text",
        [
            *(
                part * 4_000
                for part in ("for ", "[a]", "a-", "```\n", "**for a b", "this task is ", "*", "\n", "for a\n")
            ),
            "ask " * 4_000 + "to",
            "for a b c d e f " * 900 + " agent",
        ],
    )
    def test_hostile_texts_take_no_time(self, matcher: PersonaMatcher, text: str) -> None:
        began = time.process_time()
        matcher.hint(bead(text, description=text))
        assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [("beads.jsonl", {}), ("loom.jsonl", {"loom-rtu": "engineering-manager"}), ("nanolang.jsonl", {})],
)
def test_real_trackers_name_only_whom_they_mean(sample, matcher: PersonaMatcher, name: str, expected: Any) -> None:
    """Of all beads of the samples exactly one asks for a persona; dozens have a persona's name in them."""
    beads = [entry.bead for entry in read_entries(sample(name)) if isinstance(entry, BeadEntry)]
    assert {one.id: hint for one in beads if (hint := matcher.extract_persona_hint(one))} == expected
