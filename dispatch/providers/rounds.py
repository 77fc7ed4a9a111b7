"""Looking at all providers of a deployment at once."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dispatch.models.provider import ProviderHealth
from dispatch.providers.health import ask_health
from dispatch.settings import ProviderSettings

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ProviderCheck:
    """What a look at one provider found."""

    name: str
    health: ProviderHealth


def check_providers(
    providers: Mapping[str, ProviderSettings], environ: Mapping[str, str] = os.environ
) -> list[ProviderCheck]:
    """Ask all providers, a few at a time; return what was found, in their order."""
    if not providers:
        return []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda provider: ask_health(provider, environ), providers.values())
        return [ProviderCheck(name, health) for name, health in zip(providers, found, strict=True)]
