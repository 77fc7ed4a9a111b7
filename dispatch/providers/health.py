"""Asking an endpoint for its models: the cheapest question that shows whether it answers and takes the key."""

import http.client
import json
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib import request
from urllib.error import HTTPError

from dispatch.models.provider import ProviderHealth, ProviderTrouble
from dispatch.settings import ProviderKind, ProviderSettings

PATIENCE: Final = 5.0
"""Seconds for an endpoint to answer."""
_ANTHROPIC_VERSION: Final = "2023-06-01"
_LARGEST_ANSWER: Final = 8 * 2**20
_UNLISTED: Final = frozenset({404, 405, 501})
"""How an endpoint answers that has no list of models: it is there, and that is all that can be known."""


class _NoRedirects(request.HTTPRedirectHandler):
    """The key is for the endpoint that was named, and for no other."""

    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None


def key_of(provider: ProviderSettings, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the key of a provider, empty when it wants none; None: its variable is not set here."""
    if not provider.api_key_env:
        return ""
    return environ.get(provider.api_key_env, "").strip() or None


def ask_health(
    provider: ProviderSettings, environ: Mapping[str, str] = os.environ, *, timeout: float = PATIENCE
) -> ProviderHealth:
    """Ask a provider for its models; never raises, and says no word of what it sent, nor of what it was answered."""
    key = key_of(provider, environ)
    if key is None:
        return ProviderHealth(
            trouble=None, told=f"the variable {provider.api_key_env} is not set here", was_asked=False
        )
    asked = request.Request(_url(provider), headers=_headers(provider.kind, key), method="GET")
    opener = request.build_opener(_NoRedirects)
    try:
        with opener.open(asked, timeout=timeout) as answer:
            return _read(answer.read(_LARGEST_ANSWER), provider.model)
    except HTTPError as error:
        with error:
            return _refused(error.code)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return ProviderHealth(trouble=ProviderTrouble.UNREACHABLE, told=f"not reachable: {_cause(error)}")


def _url(provider: ProviderSettings) -> str:
    if provider.kind is ProviderKind.ANTHROPIC:
        return f"{provider.endpoint.removesuffix('/v1')}/v1/models?limit=1000"
    return f"{provider.endpoint}/models"


def _headers(kind: ProviderKind, key: str) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if kind is ProviderKind.ANTHROPIC:
        headers["anthropic-version"] = _ANTHROPIC_VERSION
    if key:
        name, value = ("x-api-key", key) if kind is ProviderKind.ANTHROPIC else ("Authorization", f"Bearer {key}")
        headers[name] = value
    return headers


def _read(body: bytes, model: str) -> ProviderHealth:
    """Read a list of models. One that cannot be read, or that leaves the model out, proves nothing against it."""
    try:
        listed = {str(entry["id"]) for entry in json.loads(body)["data"]}
    except (ValueError, TypeError, KeyError):
        return ProviderHealth(trouble=None, told="answers")
    return ProviderHealth(trouble=None, told="answers" if model in listed else f"answers; it does not list {model}")


def _refused(status: int) -> ProviderHealth:
    told = f"it answered with status {status}"
    if status in _UNLISTED:
        return ProviderHealth(trouble=None, told="answers; it has no list of models")
    if status in (401, 402, 403):
        return ProviderHealth(trouble=ProviderTrouble.KEY_REFUSED, told=f"the key is refused: {told}")
    if status == 429:
        return ProviderHealth(trouble=ProviderTrouble.BUSY, told=f"busy: {told}")
    return ProviderHealth(trouble=ProviderTrouble.BROKEN, told=told)


def _cause(error: Exception) -> str:
    """Say what went wrong by kind alone: what a library says of a request may hold its header."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "it did not answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__
