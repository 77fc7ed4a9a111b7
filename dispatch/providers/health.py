"""Asking an endpoint for its models: the cheapest question that shows whether it answers and takes the key.

It is asked by the clients that runs use, so that both speak alike. Those take a second to import, so only who asks
imports them.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from dispatch.models.provider import ProviderHealth, ProviderTrouble
from dispatch.settings import ProviderKind, ProviderSettings

PATIENCE: Final = 5.0
"""Seconds for an endpoint to answer."""
_NO_KEY: Final = "none"
"""What a client is given where no key is needed: it does not do without one."""
_UNLISTED: Final = frozenset({404, 405, 501})
"""How an endpoint answers that has no list of models: it is there, and that is all that can be known."""


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
        told = f"the variable {provider.api_key_env} is not set here"
        return ProviderHealth(trouble=None, told=told, was_asked=False)
    try:
        listed = _models(provider, key, timeout)
    except Exception as error:  # noqa: BLE001 - clients of others raise what they like; here it is an answer
        return _refused(error)
    return ProviderHealth(
        trouble=None, told="answers" if provider.model in listed else f"answers; it does not list {provider.model}"
    )


def _models(provider: ProviderSettings, key: str, timeout: float) -> set[str]:
    """Return the models that an endpoint lists first. Raises what its client raises."""
    import httpx2

    client_class, base_url = _client(provider)
    # The key is for the endpoint that was named, and for no other: a redirect is not followed.
    with httpx2.Client(timeout=timeout, follow_redirects=False) as http:
        client = client_class(
            api_key=key or _NO_KEY, base_url=base_url, timeout=timeout, max_retries=0, http_client=http
        )
        return {str(model.id) for model in client.models.list().data or ()}


def _client(provider: ProviderSettings) -> tuple[Any, str]:
    if provider.kind is ProviderKind.ANTHROPIC:
        from anthropic import Anthropic

        return Anthropic, provider.endpoint.removesuffix("/v1")
    from openai import OpenAI

    return OpenAI, provider.endpoint


def _refused(error: Exception) -> ProviderHealth:
    """Say what went wrong by status or kind alone: what a client says of a request may hold its header."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        cause = error.__cause__ or error
        if isinstance(cause, ValueError | TypeError | AttributeError):
            return ProviderHealth(trouble=None, told="answers; its list of models cannot be read")
        return ProviderHealth(trouble=ProviderTrouble.UNREACHABLE, told=f"not reachable ({type(cause).__name__})")
    told = f"it answered with status {status}"
    if status in _UNLISTED:
        return ProviderHealth(trouble=None, told="answers; it has no list of models")
    if status in (401, 402, 403):
        return ProviderHealth(trouble=ProviderTrouble.KEY_REFUSED, told=f"the key is refused: {told}")
    if status == 429:
        return ProviderHealth(trouble=ProviderTrouble.BUSY, told=f"busy: {told}")
    return ProviderHealth(trouble=ProviderTrouble.BROKEN, told=told)
