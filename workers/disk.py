"""Whether this host's disk has room for another run."""

import shutil
from pathlib import Path

from dispatch.settings import Settings

_GB = 10**9


def disk_trouble(settings: Settings) -> str:
    """Say in a sentence that the disk of the home is nearly full; empty when it is not, or nothing is asked for."""
    wanted, place = settings.housekeeping.min_free_gb, _existing(settings.home)
    free = shutil.disk_usage(place).free / _GB
    if free >= wanted:
        return ""
    return f"The disk of {settings.home} has {free:.1f} GB left, and nothing starts below {wanted:g} GB (min_free_gb)."


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())
