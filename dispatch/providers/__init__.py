"""Endpoints of models as dispatch itself asks them: whether they answer, and whether they take the key."""

from dispatch.providers.health import ask_health, key_of
from dispatch.providers.rounds import ProviderCheck, check_providers

__all__ = ["ProviderCheck", "ask_health", "check_providers", "key_of"]
