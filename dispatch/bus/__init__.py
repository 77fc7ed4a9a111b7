"""How orders reach workers: over Celery, or in this process."""

from dispatch.bus.local import LocalBus, LocalWork

__all__ = ["LocalBus", "LocalWork"]
