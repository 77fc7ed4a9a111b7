"""The names of the queues. Source: PROTOCOL, "Queues and workers"."""

from typing import Final

CONTROL_QUEUE: Final = "control"
RESULTS_QUEUE: Final = "results"
LANDING_QUEUE: Final = "landing"
SERVICE_QUEUES: Final = (CONTROL_QUEUE, RESULTS_QUEUE, LANDING_QUEUE)
"""Those that every deployment needs a consumer of."""
ROLE_QUEUE_PREFIX: Final = "role."


def role_queue(role: str) -> str:
    """Return the name of a role's queue."""
    return f"{ROLE_QUEUE_PREFIX}{role}"
