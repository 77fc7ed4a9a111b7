"""Timestamps of the file format. Their text is what is given back; the moment read from it is for comparing."""

from datetime import UTC, datetime


def parse_time(text: str) -> datetime | None:
    """Return the moment that an RFC 3339 timestamp names, in UTC, cut to microseconds; without an offset it is UTC.

    The zero time of Go (year 1), which trackers write for "not set", is None. Raises ValueError when there is no
    such moment.
    """
    moment = datetime.fromisoformat(text.upper())
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    if moment.year == 1:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"out of range: {text}") from None


def format_time(moment: datetime) -> str:
    """Return a moment, which must know its offset, as the file format has it: RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
