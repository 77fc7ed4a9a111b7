"""What beat fires, and how often: data only.

`tick` is the safety net; a nudge after every settled run, new bead and freed agent makes dispatch immediate. `expires`
is compared with the clock of the worker, so run the ticker on the host of beat, or keep clocks close. Seconds.
"""

from typing import Any

TICK_TASK = "workers.tasks.tick"
HOUSEKEEPING_TASK = "workers.tasks.housekeeping"
HOUSEKEEPING_SECONDS = 300.0


def beat_schedule(tick_interval: float) -> dict[str, dict[str, Any]]:
    """Return Celery's `beat_schedule` for a tick every `tick_interval` seconds."""
    return {
        "tick": {
            "task": TICK_TASK,
            "schedule": tick_interval,
            "options": {"queue": "control", "expires": max(tick_interval - 1, 1.0), "ignore_result": True},
        },
        "housekeeping": {
            "task": HOUSEKEEPING_TASK,
            "schedule": HOUSEKEEPING_SECONDS,
            "options": {"queue": "results", "expires": HOUSEKEEPING_SECONDS - 60, "ignore_result": True},
        },
    }
