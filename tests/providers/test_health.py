"""Asking an endpoint whether it answers: what is asked, and what each answer means."""

from typing import Any

import pytest

from dispatch.models.provider import ProviderHealth, ProviderTrouble
from dispatch.providers import ask_health, check_providers
from dispatch.settings import ProviderSettings
from tests.model_server import MODEL, Answer, serving

KEY = "sk-planted-2b7e151628aed2a6"
ENVIRON = {"MY_KEY": f" {KEY}\n"}


@pytest.fixture(scope="module")
def endpoint() -> Any:
    with serving() as server:
        yield server


def _provider(endpoint: Any, **more: Any) -> ProviderSettings:
    return ProviderSettings.model_validate(endpoint.provider(api_key_env="MY_KEY", **more))


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_it_is_asked_for_its_models_with_the_key(endpoint: Any, kind: str) -> None:
    endpoint.listing = Answer(body=f'{{"data": [{{"id": "{MODEL}"}}], "has_more": false}}')
    assert ask_health(_provider(endpoint, kind=kind), ENVIRON) == ProviderHealth(trouble=None, told="answers")
    asked = endpoint.asked[-1]
    assert asked.path.partition("?")[0] == "/v1/models"
    assert KEY in (asked.headers.get("authorization", "") + asked.headers.get("x-api-key", ""))
    other = ask_health(_provider(endpoint, kind=kind, model="other"), ENVIRON)
    assert other == ProviderHealth(trouble=None, told="answers; it does not list other")


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("status", "trouble", "told"),
    [
        (401, ProviderTrouble.KEY_REFUSED, "the key is refused: it answered with status 401"),
        (403, ProviderTrouble.KEY_REFUSED, "the key is refused: it answered with status 403"),
        (404, None, "answers; it has no list of models"),
        (429, ProviderTrouble.BUSY, "busy: it answered with status 429"),
        (503, ProviderTrouble.BROKEN, "it answered with status 503"),
        (302, ProviderTrouble.BROKEN, "it answered with status 302"),
    ],
)
def test_a_refusal_is_told_by_its_status_alone(
    endpoint: Any, kind: str, status: int, trouble: ProviderTrouble | None, told: str
) -> None:
    body = f'{{"error": {{"message": "bad key {KEY}"}}}}'
    endpoint.listing = Answer(status=status, body=body, headers={"Location": f"{endpoint.base_url}/elsewhere"})
    before = len(endpoint.asked)
    assert ask_health(_provider(endpoint, kind=kind), ENVIRON) == ProviderHealth(trouble=trouble, told=told)
    assert len(endpoint.asked) == before + 1


def test_what_cannot_be_asked_or_reached_is_told(endpoint: Any) -> None:
    nothing = ask_health(_provider(endpoint), {})
    assert nothing == ProviderHealth(trouble=None, told="the variable MY_KEY is not set here", was_asked=False)
    away = ask_health(_provider(endpoint, base_url="http://127.0.0.1:9/v1"), ENVIRON)
    assert (away.trouble, away.told) == (ProviderTrouble.UNREACHABLE, "not reachable (ConnectError)")
    endpoint.listing = Answer(body="<html>")
    assert ask_health(_provider(endpoint), ENVIRON).trouble is None


def test_all_are_asked_in_their_order(endpoint: Any) -> None:
    endpoint.listing = Answer(body=f'{{"data": [{{"id": "{MODEL}"}}]}}')
    providers = {"b": _provider(endpoint), "a": _provider(endpoint, base_url="http://127.0.0.1:9/v1")}
    assert [(check.name, check.health.trouble) for check in check_providers(providers, ENVIRON)] == [
        ("b", None),
        ("a", ProviderTrouble.UNREACHABLE),
    ]
    assert check_providers({}, ENVIRON) == []
