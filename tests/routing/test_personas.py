"""The personas that ship, and those that a configuration makes known."""

from pathlib import Path

import pytest

from dispatch import Bead, PersonaMatcher, Settings
from dispatch.models.identity import BeadId
from dispatch.routing import DEFAULT_PERSONAS, instructions_of, known_personas
from dispatch.settings import RoleSettings, normal_name

NAMES = [persona.name for persona in DEFAULT_PERSONAS]


def settings(**aliases: tuple[str, ...]) -> Settings:
    roles = {name.replace("_", "-"): RoleSettings(aliases=words) for name, words in aliases.items()}
    return Settings(home=Path("home"), roles=roles)


def asked(configured: Settings, title: str) -> str:
    return PersonaMatcher(known_personas(configured)).extract_persona_hint(Bead(id=BeadId("a"), title=title))


@pytest.mark.parametrize("name", NAMES)
def test_every_default_persona_has_instructions_of_a_useful_length(name: str) -> None:
    lines = instructions_of(name).splitlines()
    assert 15 <= len(lines) <= 40
    assert lines[0].startswith("# ")
    assert normal_name(lines[0][2:]) == name
    assert [line for line in lines if line.startswith("## ")] == [
        "## You are responsible for",
        "## How you work on a bead",
        "## Done means",
        "## Do not",
        "## Ask a human when",
    ]
    assert all(len(line) <= 120 for line in lines)


def test_there_are_no_instructions_without_a_persona_and_none_are_read_from_elsewhere() -> None:
    folder = Path(instructions_of.__code__.co_filename).parent
    assert sorted(path.stem for path in folder.glob("*.md")) == sorted(NAMES)
    assert instructions_of("poet") == instructions_of("../personas/ceo") == instructions_of("") == ""


def test_no_word_means_two_personas_and_all_are_in_normal_form() -> None:
    words = [word for one in DEFAULT_PERSONAS for word in (one.name, *one.aliases, *one.areas)]
    assert len(words) == len(set(words))
    assert words == list(map(normal_name, words))


def test_a_configured_role_keeps_the_words_of_the_default_persona_and_adds_its_own() -> None:
    configured = settings(backend_engineer=("Core Team",))
    found = [asked(configured, f"[{word}] x") for word in ("core team", "backend", "server", "backend-engineer")]
    assert found == ["backend-engineer"] * 4
    assert asked(configured, "core team: x") == "backend-engineer"


def test_a_word_that_the_configuration_gives_away_means_nobody_else() -> None:
    configured = settings(ui=("designer",), painter=("web-design",), web_designer=())
    found = [asked(configured, f"[{word}] x") for word in ("ui", "designer", "web-design", "ux-designer", "web")]
    assert found == ["ui", "ui", "painter", "web-designer", "web-designer"]


def test_a_default_persona_that_is_an_alias_brings_its_words_along() -> None:
    configured = settings(generalist=("backend-engineer", "devops-engineer"))
    found = [
        asked(configured, f"[{word}] x") for word in ("backend-engineer", "backend", "devops engineer", "sre", "ops")
    ]
    assert found == ["generalist"] * 5


def test_who_is_not_configured_is_known_by_name_and_alias_only() -> None:
    configured = settings(backend_engineer=())
    found = [asked(configured, f"[{word}] x") for word in ("web-designer", "designer", "ui", "docs", "api")]
    assert found == ["web-designer", "web-designer", "", "", "backend-engineer"]


def test_without_roles_the_default_set_is_known() -> None:
    assert {persona.name for persona in known_personas(settings())} == set(NAMES)
