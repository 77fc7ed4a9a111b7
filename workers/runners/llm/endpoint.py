"""The client of a provider. Its own retries do: backoff with jitter on 429, 5xx, timeouts; Retry-After is heeded."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from dispatch.settings import ProviderKind
from workers.runners.llm.configuration import ModelRun

_NO_KEY = "none"
"""What the clients are given where no key is needed: they do not do without one."""
_ANTHROPIC_OUTPUT = 8_192
"""Tokens of one answer where nothing is set: that protocol has no default of the endpoint's."""


def make_client(run: ModelRun, told: Callable[[str], None]) -> httpx2.AsyncClient:
    """Return the connections to the provider of a run; close them after it. `told` hears of each answer that is none.

    Redirects are not followed: the key is for the endpoint that was named, and for no other.
    """
    return httpx2.AsyncClient(
        timeout=run.request_timeout,
        follow_redirects=False,
        event_hooks={"response": [_teller(run.provider, told)]},
    )


def make_model(run: ModelRun, key: str, client: httpx2.AsyncClient) -> Model:
    """Return the model of a run."""
    options: dict[str, Any] = {
        "api_key": key or _NO_KEY,
        "timeout": run.request_timeout,
        "max_retries": run.request_retries,
        "http_client": client,
    }
    make = _anthropic if run.kind is ProviderKind.ANTHROPIC else _openai
    return make(run, options)


def _anthropic(run: ModelRun, options: dict[str, Any]) -> Model:
    from anthropic import AsyncAnthropic  # each takes a second to import, and one run uses one
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(base_url=run.base_url.removesuffix("/v1"), **options)
    return AnthropicModel(run.model, provider=AnthropicProvider(anthropic_client=client))


def _openai(run: ModelRun, options: dict[str, Any]) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(base_url=run.base_url, **options)
    return OpenAIChatModel(run.model, provider=OpenAIProvider(openai_client=client))


def settings_of(run: ModelRun) -> ModelSettings:
    """Return what each request says besides the conversation. Where caching has to be asked for, it is."""
    if run.kind is ProviderKind.ANTHROPIC:
        from pydantic_ai.models.anthropic import AnthropicModelSettings

        return AnthropicModelSettings(
            max_tokens=run.max_output_tokens or _ANTHROPIC_OUTPUT,
            anthropic_cache_tool_definitions=True,
            anthropic_cache_messages=True,
        )
    settings = ModelSettings()
    if run.max_output_tokens:
        settings["max_tokens"] = run.max_output_tokens
    return settings


def _teller(provider: str, told: Callable[[str], None]) -> Callable[[httpx2.Response], Awaitable[None]]:
    async def tell(response: httpx2.Response) -> None:
        if response.status_code >= 400:
            told(f"{provider} answers with status {response.status_code}.")

    return tell
