"""Whom a bead asks for, and which agent that is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatch import Agent, Bead, PersonaMatcher
from dispatch.models.identity import AgentId, BeadId, uuid7
from dispatch.routing import DEFAULT_PERSONAS, Hint, HintSource, Persona

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def bead(title: str = "Do it", **fields: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), title=title, **fields)


def agent(name: str, *roles: str, persona: str = "", used: datetime | None = None) -> Agent:
    return Agent(id=AgentId(uuid7()), name=name, roles=roles, persona=persona, last_used_at=used)


@pytest.fixture(scope="module")
def matcher() -> PersonaMatcher:
    return PersonaMatcher()


class TestSources:
    def test_the_order_is_metadata_title_description_labels(self, matcher: PersonaMatcher) -> None:
        fields: dict[str, Any] = {
            "title": "[web-designer] x",
            "description": "qa-engineer: x",
            "labels": ("for-cto",),
            "metadata": {"requires_persona": "ceo"},
        }
        found = []
        for left_out in ("metadata", "title", "description", "labels"):
            hint = matcher.hint(bead(**fields))
            assert hint is not None
            found.append((hint.name, hint.source))
            fields.pop(left_out)
        assert found == [
            ("ceo", HintSource.METADATA),
            ("web-designer", HintSource.TITLE),
            ("qa-engineer", HintSource.DESCRIPTION),
            ("cto", HintSource.LABEL),
        ]
        assert matcher.hint(bead(**fields)) is None

    @pytest.mark.parametrize(
        ("written", "persona", "known"),
        [
            ("backend-engineer", "backend-engineer", True),
            (" default/Backend_Engineer ", "backend-engineer", True),
            ("backend", "backend-engineer", True),
            ("docs", "documentation-manager", True),
            ("QA Engineer agent", "qa-engineer", True),
            ("backend-enginer", "backend-enginer", False),
            ("Poet Laureate", "poet-laureate", False),
            ("agent", "agent", False),
        ],
    )
    def test_metadata_counts_always_and_an_unknown_persona_shows(
        self, matcher: PersonaMatcher, written: str, persona: str, known: bool
    ) -> None:
        hint = matcher.hint(bead("[web-designer] x", metadata={"requires_persona": written}))
        assert hint == Hint(persona, HintSource.METADATA, known, written.strip())
        assert bool(matcher.problem(hint)) is not known

    @pytest.mark.parametrize("written", ["", "  ", None, 3, ["qa"], {"name": "qa"}])
    def test_metadata_that_names_nobody_leaves_it_to_the_rest(self, matcher: PersonaMatcher, written: Any) -> None:
        assert matcher.extract_persona_hint(bead("[qa] x", metadata={"requires_persona": written})) == "qa-engineer"

    def test_a_problem_names_the_place_and_the_nearest_name(self, matcher: PersonaMatcher) -> None:
        hint = matcher.hint(bead(metadata={"requires_persona": "backend-enginer"}))
        assert hint is not None
        assert matcher.problem(hint) == (
            'Metadata.requires_persona asks for the unknown persona "backend-enginer". Did you mean "backend-engineer"?'
        )
        other = matcher.hint(bead(labels=("role:Zyx",)))
        assert other is not None
        assert matcher.problem(other) == (
            'A label asks for the unknown persona "zyx". Name a role, persona or alias that exists.'
        )

    @pytest.mark.parametrize(
        ("labels", "persona", "known"),
        [
            (("for-web-designer",), "web-designer", True),
            (("For-Web_Designer",), "web-designer", True),
            (("for:qa",), "qa-engineer", True),
            (("backend-only",), "backend-engineer", True),
            (("web designer only",), "web-designer", True),
            (("persona:qa",), "qa-engineer", True),
            (("role:Backend Engineer",), "backend-engineer", True),
            (("role:ui",), "web-designer", True),
            (("web", "role:web-designer", "role:qa"), "web-designer", True),
            (("role:poet", "for-qa"), "qa-engineer", True),
            (("role:poet",), "poet", False),
            (("persona:poet",), "poet", False),
        ],
    )
    def test_labels(self, matcher: PersonaMatcher, labels: tuple[str, ...], persona: str, known: bool) -> None:
        hint = matcher.hint(bead(labels=labels))
        assert hint is not None
        assert (hint.name, hint.known, hint.source) == (persona, known, HintSource.LABEL)

    @pytest.mark.parametrize(
        "label",
        [
            *("for-loop", "for-review", "for-later", "for-", "for-agent", "agent-only", "read-only", "docs-only"),
            *("ui-only", "-only", "personas", "roles", "qa", "web", "role:", "persona: ", "auto-filed"),
        ],
    )
    def test_labels_that_name_nobody(self, matcher: PersonaMatcher, label: str) -> None:
        assert matcher.hint(bead(labels=(label,))) is None


class TestOtherPersonas:
    def test_names_alone_are_personas_too(self) -> None:
        matcher = PersonaMatcher(["Data Wrangler", "poet"])
        assert matcher.extract_persona_hint(bead("data wrangler: count them")) == "data-wrangler"
        assert matcher.extract_persona_hint(bead("[poet] rhyme")) == "poet"
        assert matcher.hint(bead("[qa] verify")) is None
        assert matcher.hint(bead("[pet] feed")) is None

    def test_aliases_and_areas(self) -> None:
        matcher = PersonaMatcher([Persona("bard", aliases=("singer",), areas=("songs",))])
        found = [matcher.extract_persona_hint(bead(f"{title} x")) for title in ("singer:", "songs:", "[songs]")]
        assert found == ["bard", "", "bard"]

    def test_nobody_is_known_where_there_is_nobody(self) -> None:
        matcher = PersonaMatcher([])
        assert matcher.hint(bead("[qa] ask the qa engineer to verify")) is None
        assert matcher.extract_persona_hint(bead(metadata={"requires_persona": "qa"})) == "qa"


class TestAgents:
    def test_the_persona_itself_goes_before_one_that_contains_it_and_before_the_role(
        self, matcher: PersonaMatcher
    ) -> None:
        exact = agent("a", "qa-engineer", persona="default/Web-Designer", used=NOON)
        containing = agent("b", "qa-engineer", persona="senior-web-designer")
        by_role = agent("c", "web-designer", persona="painter")
        everybody = [by_role, containing, exact]
        found = []
        while everybody:
            one = matcher.find_agent_by_persona_hint("web-designer", everybody)
            assert one is not None
            found.append(one.name)
            everybody.remove(one)
        assert found == ["a", "b", "c"]

    @pytest.mark.parametrize(
        "hint",
        [
            "web-designer",
            "Web Designer",
            "default/web-designer",
            "web-designer agent",
            "designer",
            "ui",
            "web-desinger",
        ],
    )
    def test_any_spelling_of_a_hint_finds_the_agent(self, matcher: PersonaMatcher, hint: str) -> None:
        wanted = agent("a", "web-designer")
        assert matcher.find_agent_by_persona_hint(hint, [agent("b", "qa-engineer"), wanted]) is wanted

    @pytest.mark.parametrize(
        ("hint", "persona"),
        [
            ("ui", "build-master"),
            ("qa", "aqa-tester"),
            ("signer", "web-designer"),
            ("designer", "designers-friend"),
            ("web-engineer", "web-ui-engineer"),
            ("", "web-designer"),
            ("  ", "web-designer"),
            ("agent", "web-designer"),
        ],
    )
    def test_a_part_of_a_word_is_no_match(self, hint: str, persona: str) -> None:
        assert PersonaMatcher([]).find_agent_by_persona_hint(hint, [agent("a", "builder", persona=persona)]) is None

    def test_a_hint_may_be_some_words_of_the_persona(self) -> None:
        one = agent("a", "x", persona="team-red-web-designer")
        assert PersonaMatcher([]).find_agent_by_persona_hint("web-designer", [one]) is one
        assert PersonaMatcher([]).find_agent_by_persona_hint("red web", [one]) is one

    def test_of_equals_the_least_recently_used(self, matcher: PersonaMatcher) -> None:
        late, early = agent("late", "qa", used=NOON), agent("early", "qa", used=NOON - timedelta(hours=1))
        first, second = agent("first", "qa"), agent("second", "qa")
        assert matcher.find_agent_by_persona_hint("qa", [late, early]) is early
        assert matcher.find_agent_by_persona_hint("qa", [late, early, first, second]) is first

    def test_nobody_fits(self, matcher: PersonaMatcher) -> None:
        assert matcher.find_agent_by_persona_hint("ceo", [agent("a", "web-designer")]) is None
        assert matcher.find_agent_by_persona_hint("ceo", []) is None


def test_every_default_persona_is_found_by_each_of_its_words(matcher: PersonaMatcher) -> None:
    for persona in DEFAULT_PERSONAS:
        for word in (persona.name, *persona.aliases, *persona.areas):
            assert matcher.extract_persona_hint(bead(f"[{word}] x")) == persona.name, word
        for word in (persona.name, *persona.aliases):
            assert matcher.extract_persona_hint(bead(f"{word}: x")) == persona.name, word
