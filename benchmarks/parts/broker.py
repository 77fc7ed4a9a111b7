"""Counting the commands that Valkey is given."""

from collections import Counter
from typing import Any

from celery import Celery

_MEASURING = {"info", "blpop"}
"""What only the benchmark itself asks."""


def commands_given(app: Celery) -> Counter[str]:
    """Return how often each command was given so far, by anybody."""
    told: dict[str, Any] = app.backend.client.info("commandstats")
    names = {name: name.removeprefix("cmdstat_") for name in told}
    return Counter({names[name]: int(seen["calls"]) for name, seen in told.items() if names[name] not in _MEASURING})
