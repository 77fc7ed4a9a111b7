"""Providers of models on the side that does the work: looking at them, and choosing one where the claim did not."""

import os
from collections.abc import Mapping

from dispatch.models.bead import Bead
from dispatch.providers import ProviderCheck, check_providers
from dispatch.readiness.providers import UsableProviders, after_check
from dispatch.routing.means import choose_provider
from dispatch.settings import Settings
from dispatch.store import Store
from dispatch.wiring import System


def look_at_providers(system: System, environ: Mapping[str, str] = os.environ) -> list[ProviderCheck]:
    """Ask each provider for its models and keep what that showed; of one whose key is not set here nothing is known."""
    checks = check_providers(system.settings.providers, environ)
    guards = system.settings.guards
    for check in checks:
        health = check.health
        if health.was_asked:
            system.store.providers.note_check(
                check.name,
                lambda record, now, health=health: after_check(record, health.trouble, health.told, guards, now),  # type: ignore[misc]
            )
    return checks


def provider_for(store: Store, settings: Settings, role: str, bead: Bead) -> str:
    """Return the provider for a run that was claimed without one: the best that is up, else the best; empty: none."""
    names = settings.role_providers(role)
    up = UsableProviders(store.providers.all(), settings.guards, store.providers.now()).up(names)
    choice = choose_provider(names, bead, up or names)
    return choice.name if choice is not None else ""
