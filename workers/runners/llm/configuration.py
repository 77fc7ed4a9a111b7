"""What the program is told besides the bead: on which model it works, and how far it may go. Never the key itself."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dispatch.settings import ModelLimits, ProviderKind, ProviderSettings


class ModelRun(BaseModel):
    """One run on one model, as it lies in a file beside the run's assignment. Times are in seconds.

    `api_key_env` names the variable with the key; empty: none is needed. `usd_per_mtok` are the dollars for a million
    tokens, read and written, `cached_usd_per_mtok` those for a million read from a cache. 0 for a number of tokens: no
    limit of ours.
    `private_env` are variables that are for the program alone, and not for the commands that it runs. `contained`:
    those run in a container, of which the program's environment has the order, and never on this host.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    provider: str
    kind: ProviderKind
    base_url: str
    model: str
    api_key_env: str
    usd_per_mtok: tuple[Decimal, Decimal]
    cached_usd_per_mtok: Decimal
    context_tokens: int
    max_output_tokens: int
    max_iterations: int = Field(ge=1)
    max_tokens: int
    request_timeout: float
    request_retries: int
    command_timeout: float
    private_env: tuple[str, ...] = ()
    contained: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        provider: ProviderSettings,
        limits: ModelLimits,
        private_env: Sequence[str] = (),
        *,
        contained: bool = False,
    ) -> "ModelRun":
        cached = provider.cached_usd_per_mtok
        return cls(
            provider=name,
            kind=provider.kind,
            base_url=provider.endpoint,
            model=provider.model,
            api_key_env=provider.api_key_env,
            usd_per_mtok=provider.usd_per_mtok,
            cached_usd_per_mtok=provider.usd_per_mtok[0] if cached is None else cached,
            context_tokens=provider.context_tokens,
            max_output_tokens=provider.max_output_tokens,
            max_iterations=limits.max_iterations,
            max_tokens=limits.max_tokens,
            request_timeout=limits.request_timeout.total_seconds(),
            request_retries=limits.request_retries,
            command_timeout=limits.command_timeout.total_seconds(),
            private_env=tuple(private_env),
            contained=contained,
        )
