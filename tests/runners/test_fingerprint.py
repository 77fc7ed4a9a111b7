"""Results that differ only in what changes by itself have one fingerprint."""

import pytest

from workers.runners.fingerprint import result_fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 failed in 0.52s", "3 failed in 11.04s"),
        ("took 52 ms", "took 7 ms"),
        ("2026-01-02T03:04:05.678Z start", "2026-02-03 04:05:06+02:00 start"),
        ("at 03:04:05", "at 13:14:15.123"),
        ("<object at 0x7f3a>", "<object at 0x91bcd0>"),
        ("pid 4711 died", "pid 12 died"),
        ("wrote /tmp/pytest-1/x.txt", "wrote /tmp/pytest-22/y.txt"),
        ("\x1b[31mred\x1b[0m", "\x1b[32;1mred\x1b[0m"),
    ],
)
def test_what_passes_does_not_count(one, other):
    assert result_fingerprint(one) == result_fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("3 failed", "2 failed"), ("line 12: x", "line 13: x"), ("", " "), ("exit 1", "exit 2"), ("1.5", "1.6")],
)
def test_everything_else_counts(one, other):
    assert result_fingerprint(one) != result_fingerprint(other)
