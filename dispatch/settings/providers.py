"""The endpoints of models, and how far an agent on one may go."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from dispatch.settings.fields import Dollars, HttpUrl, PositiveDuration, Prices, Section, VariableName, refusal


class ProviderKind(StrEnum):
    """Which protocol an endpoint speaks: chat completions as OpenAI has them, or messages as Anthropic has."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


DEFAULT_BASE_URLS: Final = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com",
}
"""Where an endpoint is whose `base_url` is empty."""


def _named(value: str) -> str:
    if not value.strip():
        raise refusal("names no model", "Write the model's name as its endpoint has it.")
    return value


class ProviderSettings(Section):
    """An endpoint and one model behind it.

    `api_key_env` names the environment variable that holds the key; empty: the endpoint wants none. `usd_per_mtok` is
    the price in dollars of a million tokens, read and written, and `cached_usd_per_mtok` that of those read which the
    endpoint had in its cache; without it they cost the same. `context_tokens` is how much of a conversation the model
    takes: what is older is shortened. `max_output_tokens` bounds one answer; 0: as the endpoint has it.
    """

    kind: ProviderKind
    base_url: HttpUrl = ""
    model: Annotated[str, AfterValidator(_named)]
    api_key_env: VariableName = ""
    usd_per_mtok: Prices = (Decimal(0), Decimal(0))
    cached_usd_per_mtok: Dollars | None = None
    context_tokens: int = Field(default=100_000, ge=8_000)
    max_output_tokens: int = Field(default=0, ge=0)

    @property
    def endpoint(self) -> str:
        """The address without a slash at its end."""
        return (self.base_url or DEFAULT_BASE_URLS[self.kind]).rstrip("/")


class ModelLimits(Section):
    """How far a run of an `llm` runner may go.

    `max_iterations` are requests to the model, `max_tokens` those read and written in all of them; 0: no limit. A
    request has `request_timeout`, and is made again `request_retries` times when the endpoint is busy, broken or away.
    A command that the model runs has `command_timeout`.
    """

    max_iterations: int = Field(default=25, ge=1)
    max_tokens: int = Field(default=0, ge=0)
    request_timeout: PositiveDuration = timedelta(minutes=3)
    request_retries: int = Field(default=4, ge=0, le=20)
    command_timeout: PositiveDuration = timedelta(minutes=5)


def limits_given(limits: ModelLimits) -> list[str]:
    """Return which of the limits the configuration names."""
    given: Any = limits.model_fields_set
    return [name for name in ModelLimits.model_fields if name in given]
