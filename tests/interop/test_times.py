"""Timestamps as real files have them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dispatch.interop import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1-08:00", datetime(2026, 1, 2, 11, 4, 5, 100000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.99999999+05:45", datetime(2026, 1, 1, 21, 19, 5, 999999, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_a_timestamp_is_read_as_a_moment_in_utc(text, moment):
    found = parse_time(text)
    assert found == moment
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "Invalid isoformat string"),
        ("soon", "Invalid isoformat string"),
        ("2026-13-01T00:00:00Z", "month"),
        ("9999-12-31T23:59:59-08:00", "out of range"),
    ],
)
def test_what_names_no_moment_is_refused(text, cause):
    with pytest.raises(ValueError, match=cause):
        parse_time(text)


def test_a_moment_is_written_in_utc():
    moment = datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-01-02T01:04:05.000060Z"
    assert parse_time(format_time(moment)) == moment
