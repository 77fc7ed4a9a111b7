"""By which runner and on which provider a bead is worked on."""

from typing import Any

import pytest

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.routing.means import Means, ProviderChoice, choose_means, choose_provider, needs_provider
from dispatch.settings import Settings

NAMES = ("weak", "middle", "strong")


def _bead(**said: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), **{"title": "Do it", **said})


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    provider = {"kind": "openai", "model": "m"}
    return Settings.model_validate(
        {
            "home": tmp_path,
            "providers": dict.fromkeys(NAMES, provider),
            "runners": {"model": {"kind": "llm"}, "own": {"kind": "command", "argv": ("true",)}},
            "roles": {
                "dev": {"runners": ("model",), "providers": ("middle", "strong")},
                "qa": {"runners": ("model",)},
                "mixed": {"runners": ("own", "model"), "providers": ("weak",)},
                "plain": {"runners": ("own",)},
            },
        }
    )


def _names(means: Means | None) -> tuple[str, str]:
    assert means is not None
    return means.runner.name, means.provider_name


def test_a_role_uses_its_own_providers_else_all_in_their_order(settings: Settings) -> None:
    assert settings.role_providers("dev") == ("middle", "strong")
    assert settings.role_providers("qa") == NAMES


@pytest.mark.parametrize(
    ("said", "up", "name"),
    [
        ({"title": "Mend a typo"}, NAMES, "weak"),
        ({"title": "Mend a typo", "failures": 1}, NAMES, "middle"),
        ({"title": "Mend a typo", "failures": 5}, NAMES, "strong"),
        ({"title": "Mend the deadlock", "issue_type": "feature"}, NAMES, "middle"),
        ({"title": "Mend a typo"}, ("middle", "strong"), "middle"),
        ({"title": "Mend a typo"}, ("strong",), "strong"),
        ({"title": "Mend a typo", "failures": 5}, ("weak", "middle"), "middle"),
    ],
)
def test_the_weakest_that_fits_and_is_up(said: dict[str, Any], up: tuple[str, ...], name: str) -> None:
    choice = choose_provider(NAMES, _bead(**said), up)
    assert choice is not None
    assert choice.name == name


def test_the_reason_says_what_was_wanted_and_is_down() -> None:
    typo = _bead(title="Mend a typo")
    assert choose_provider(("one",), typo, ("one",)) == ProviderChoice("one", "it is the only one of the role.")
    assert choose_provider(NAMES, typo, ("strong",)) == ProviderChoice(
        "strong", "the work is simple (its title names a small change). weak is down."
    )
    assert choose_provider(NAMES, typo, ()) is None


def test_without_a_provider_a_role_is_left_with_what_needs_none(settings: Settings) -> None:
    bead = _bead(failures=3)
    assert _names(choose_means("mixed", bead, settings, ("weak",))) == ("model", "weak")
    assert _names(choose_means("mixed", bead, settings, ())) == ("own", "")
    assert choose_means("dev", bead, settings, ()) is None
    assert _names(choose_means("plain", bead, settings, ())) == ("own", "")
    needing = [role for role in ("dev", "qa", "mixed", "plain", "unknown") if needs_provider(role, settings)]
    assert needing == ["dev", "qa"]
