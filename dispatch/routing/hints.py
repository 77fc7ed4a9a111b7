"""What a bead says about who should do it. Source: SPEC, "Routing"."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dispatch.models.bead import Bead
from dispatch.settings import normal_name, parse_duration

AUTO_FILED = "auto-filed"
ROLE_LABEL = "role:"
PERSONA_KEY = "requires_persona"
TIMEOUT_KEY = "timeout"
TIMEOUT_EXAMPLE = "45m"
LONGEST_TIMEOUT = timedelta(days=30)


def is_auto_filed(bead: Bead) -> bool:
    """Tell whether a program filed a bead: by its label, or by `[auto-filed]` in its title."""
    return f"[{AUTO_FILED}]" in bead.title.lower() or AUTO_FILED in map(normal_name, bead.labels)


def bead_timeout(metadata: Mapping[str, Any]) -> timedelta | None:
    """Return the limit that `metadata.timeout` ("45m") sets for a bead's runs; None when it sets none.

    Raises ValueError for one that is no duration.
    """
    value = metadata.get(TIMEOUT_KEY)
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise ValueError(f'it is no duration; write for example "{TIMEOUT_EXAMPLE}"')
    limit = parse_duration(value)
    if limit > LONGEST_TIMEOUT:
        raise ValueError(f"{value!r} is longer than a run may take; write at most {LONGEST_TIMEOUT.days} days")
    return limit
