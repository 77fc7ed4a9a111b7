"""Which role a bead goes to, and how that is told."""

from pathlib import Path
from typing import Any

import pytest

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.models.routing import UNCLEAR_BUG, Route
from dispatch.routing import Router, role_instructions, role_of_persona
from dispatch.settings import Settings

TRACEBACK = 'Traceback (most recent call last):\n  File "shop/basket.py", line 3, in add\nKeyError: 3'


def _settings(*roles: str, **configured: Any) -> Settings:
    return Settings.model_validate({"home": "/srv/home", "roles": {**{role: {} for role in roles}, **configured}})


def _bead(title: str = "Do it", **said: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), title=title, **said)


def _route(settings: Settings | None = None, /, *title: str, **said: Any) -> Route:
    return Router(settings).route(_bead(*title, **said))


@pytest.mark.parametrize(
    ("said", "role", "reason"),
    [
        ({"metadata": {"requires_persona": "default/QA"}}, "qa-engineer", "Its metadata asks for qa-engineer."),
        ({"title": "[qa] Try the basket"}, "qa-engineer", "The title asks for qa-engineer."),
        ({"description": "Ask the CTO to look."}, "cto", "The description asks for cto."),
        ({"labels": ("ui", "for-designer")}, "web-designer", "A label asks for web-designer."),
        ({"assignee": "default/Backend"}, "backend-engineer", "Its assignee names backend-engineer."),
        ({"assignee": "ann"}, "", ""),
        ({"assignee": "ui"}, "", ""),
        ({"title": "fix: login", "description": "note: see below"}, "", ""),
    ],
)
def test_a_bead_goes_where_it_asks_and_the_reason_says_where_it_does(
    said: dict[str, Any], role: str, reason: str
) -> None:
    assert _route(None, **said) == Route(role=role, reason=reason)


def test_the_places_count_in_their_order() -> None:
    said: dict[str, Any] = {
        "metadata": {"requires_persona": "cto"},
        "title": "[qa-engineer] It",
        "description": "Ask the backend engineer to do it.",
        "labels": ("role:web-designer", "auto-filed"),
        "assignee": "ceo",
    }
    found = []
    for taken in ("metadata", "title", "description", "labels", "assignee", None):
        found.append(_route(None, **said).role)
        said.pop(taken, None) if taken else None
    assert found == ["cto", "qa-engineer", "backend-engineer", "web-designer", "ceo", ""]


def test_whoever_is_not_known_is_told_and_asked_for_all_the_same() -> None:
    route = _route(None, metadata={"requires_persona": "backend-enginer"})
    assert route.role == "backend-enginer"
    assert route.problem == 'metadata.requires_persona asks for the unknown persona "backend-enginer"'
    assert route.cure == 'Did you mean "backend-engineer"?'
    assert route.complaint == f"M{route.problem[1:]}. {route.cure}"
    assert _route(None, labels=("role:poet",)).role == "poet"


def test_an_endless_name_is_told_and_asks_for_nobody() -> None:
    route = _route(None, labels=(f"role:{'x' * 500}",))
    assert (route.role, route.problem) == ("", "the role it asks for has 500 characters, ignored")


def test_no_wish_is_taken_for_the_mark_of_an_unclear_bug() -> None:
    for written in (UNCLEAR_BUG, f"default/{UNCLEAR_BUG}", f"the {UNCLEAR_BUG}"):
        assert _route(None, metadata={"requires_persona": written}).role not in ("", UNCLEAR_BUG)


# Bugs that programs file


def test_a_bug_goes_where_its_evidence_points_unless_somebody_is_named() -> None:
    bug: dict[str, Any] = {"title": "[auto-filed] It broke", "description": TRACEBACK}
    route = _route(None, **bug)
    assert route.role == "backend-engineer"
    assert route.reason.startswith("It goes to backend-engineer for a Python traceback")
    assert _route(None, **bug, labels=("role:qa-engineer",)).role == "qa-engineer"
    assert _route(None, **bug, assignee="cto").role == "cto"
    assert _route(None, title="It broke", description=TRACEBACK) == Route(), "a human filed it"


def test_an_unclear_bug_is_marked_as_one() -> None:
    route = _route(None, title="[auto-filed] It broke")
    assert route.role == UNCLEAR_BUG
    assert "QA triages it" in route.reason


def test_the_title_of_a_sorted_bug_can_be_shown_with_its_role() -> None:
    router = Router()
    bug = _bead("[auto-filed] It broke", description=TRACEBACK)
    assert router.routed_title(bug) == "[backend-engineer] [auto-filed] It broke"
    assert router.routed_title(_bead("[auto-filed] It broke")) == ""
    assert router.routed_title(_bead("It broke", description=TRACEBACK)) == ""


# The names of a configuration


@pytest.mark.parametrize(
    ("settings", "persona", "role"),
    [
        (_settings("qa-engineer"), "qa-engineer", "qa-engineer"),
        (_settings(tester={"aliases": ["qa-engineer"]}), "qa-engineer", "tester"),
        (_settings("qa"), "qa-engineer", "qa"),
        (_settings("senior-qa-engineer"), "qa-engineer", "senior-qa-engineer"),
        (_settings("senior-qa-engineer", "junior-qa-engineer"), "qa-engineer", "qa-engineer"),
        (_settings("qa", "qa-engineer"), "qa-engineer", "qa-engineer"),
        (_settings("squad-engineer"), "qa-engineer", "qa-engineer"),
        (_settings("poet"), "qa-engineer", "qa-engineer"),
        (_settings("head-poet"), "poet", "head-poet"),
    ],
)
def test_the_role_of_a_persona_is_the_one_that_does_its_work(settings: Settings, persona: str, role: str) -> None:
    assert role_of_persona(persona, settings) == role


def test_a_bead_goes_to_the_role_that_does_the_work_and_the_reason_says_so() -> None:
    settings = _settings("backend", tester={"aliases": ["qa-engineer"]})
    assert _route(settings, "[qa] Try it") == Route(role="tester", reason="The title asks for tester.")
    asked = _route(settings, labels=("role:backend-engineer",))
    assert (asked.role, asked.problem) == ("backend", "")
    assert asked.reason == "A label asks for backend-engineer, whose work backend does here."
    bug = _route(settings, "[auto-filed] It broke", description=TRACEBACK)
    assert bug.role == "backend"
    assert bug.reason.endswith("backend does the work of backend-engineer here.")


def test_the_fingerprint_changes_with_the_names_and_with_nothing_else() -> None:
    plain = Router(_settings("dev")).fingerprint
    assert Router(_settings("dev")).fingerprint == plain
    assert Router(_settings(dev={"slots": 3})).fingerprint == plain
    others = [
        Router(),
        Router(_settings("dev", "qa")),
        Router(_settings(dev={"aliases": ["coder"]})),
        Router(
            Settings.model_validate(
                {"home": "/x", "roles": {"dev": {}}, "bug_evidence": [{"pattern": "boom", "role": "dev"}]}
            )
        ),
    ]
    assert len({plain, *(router.fingerprint for router in others)}) == len(others) + 1


# Instructions


def test_a_role_is_told_what_its_persona_is(tmp_path: Path) -> None:
    text = role_instructions("qa-engineer", _settings("dev"))
    assert text.startswith("#")
    for settings, role in (
        (_settings(tester={"aliases": ["qa-engineer"]}), "tester"),
        (_settings(tester={"aliases": ["qa-engineer"]}), "QA Engineer"),
        (_settings("qa"), "qa"),
    ):
        assert role_instructions(role, settings) == text
    assert role_instructions("poet", _settings("poet")) == ""


def test_the_file_of_a_role_goes_before_that(tmp_path: Path) -> None:
    own = tmp_path / "qa.md"
    own.write_text("Be kind.")
    assert role_instructions("qa-engineer", _settings(**{"qa-engineer": {"instructions": own}})) == "Be kind."
