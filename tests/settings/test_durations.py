"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.settings import DEFAULT_TASK_TIMEOUT, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("45s", 45),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("500ms", 0.5),
        ("2d", 172800),
        ("1.5h", 5400),
        (" 10S ", 10),
        ("90", 90),
        ("0.25", 0.25),
        (90, 90),
        (1.5, 1.5),
        (0, 0),
    ],
)
def test_what_people_write_is_read(text: str | float, seconds: float):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-5s", "5 apples", "1h-30m", "m", "1e3s", "9" * 30 + "d", -1, float("inf"), float("nan"), True, "٣s"],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str | float):
    with pytest.raises(ValueError, match="is not a duration; write for example 45s, 30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1800, "30m"),
        (5400, "1h30m"),
        (45, "45s"),
        (0.5, "500ms"),
        (1.5, "1s500ms"),
        (0, "0s"),
        (-5, "-5s"),
        (90000, "25h"),
    ],
)
def test_a_duration_is_written_in_the_fewest_parts(seconds: float, text: str):
    assert format_duration(timedelta(seconds=seconds)) == text


@settings(deadline=None)
@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=3650)))
def test_what_is_written_is_read_back_to_the_same(duration: timedelta):
    assert parse_duration(format_duration(duration)) == duration


def test_a_run_has_half_an_hour_unless_something_else_is_said():
    assert timedelta(minutes=30) == DEFAULT_TASK_TIMEOUT
