"""Durations as people write them: `30m`, `45s`, `1h30m`, `500ms`, or a plain number of seconds."""

import math
import re
from datetime import timedelta

DEFAULT_TASK_TIMEOUT = timedelta(minutes=30)
"""The limit of an agent program when neither bead, role, project nor configuration sets one."""

DURATION_EXAMPLES = "45s, 30m, 1h30m or 500ms"

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[dhms])\s*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def parse_duration(text: str | int | float) -> timedelta:
    """Read a duration: parts with the units d, h, m, s and ms, or a plain number, which means seconds.

    Raises ValueError, with a sentence for the user, for anything else, negative durations included.
    """
    refusal = ValueError(f"{text!r} is not a duration; write for example {DURATION_EXAMPLES}")
    try:
        if isinstance(text, bool):
            raise refusal
        if isinstance(text, int | float):
            if not (math.isfinite(text) and text >= 0):
                raise refusal
            return timedelta(seconds=text)
        written = text.strip().lower()
        if _NUMBER.fullmatch(written):
            return timedelta(seconds=float(written))
        if not re.fullmatch(rf"(?:{_PART.pattern})+", written):
            raise refusal
        return sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(written)), timedelta())
    except OverflowError as too_long:
        raise refusal from too_long


def format_duration(duration: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, in the fewest parts: `1h30m`, `45s`, `500ms`, `0s`."""
    if duration < timedelta():
        return f"-{format_duration(-duration)}"
    parts = []
    rest = duration
    for unit in ("h", "m", "s"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest / _UNITS['ms']:g}ms")
    return "".join(parts) or "0s"
