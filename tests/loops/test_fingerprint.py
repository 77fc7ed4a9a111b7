"""Results that differ only in what changes by itself have one fingerprint."""

import pytest

from dispatch.loops import result_fingerprint

PYTEST = """\
============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0
rootdir: /home/me/.dispatch/worktrees/{worktree}
collected 2 items

tests/test_basket.py .F                                                  [100%]

=================================== FAILURES ===================================
__________________________________ test_round __________________________________
tests/test_basket.py:7: AssertionError: assert <Basket at {address}> == 3
{last}
"""


def pytest_said(
    duration: str, worktree: str = "01998d2f-5b9e-7c3a-8f00-000000000001", address: str = "0x7f31", failed: int = 1
) -> str:
    """What pytest prints; it fills the last line up to 80 columns, whatever the duration."""
    title = f" {failed} failed, 1 passed in {duration} "
    fill = "=" * ((80 - len(title)) // 2)
    last = f"{fill}{title}{fill}"
    return PYTEST.format(last=last if len(last) + 1 > 80 else last + "=", worktree=worktree, address=address)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 failed in 0.52s", "3 failed in 11.04s"),
        ("3 failed in 0.52s", "3 failed in 62.04s (0:01:02)"),
        ("took 52 ms", "took 7 ms"),
        ("took 1m30s", "took 2h 12m 1.5s"),
        ("took 1.2e-05 s", "took 3 seconds"),
        ("2026-01-02T03:04:05.678Z start", "2026-02-03 04:05:06+02:00 start"),
        ("at 03:04:05", "at 13:14:15.123"),
        ("<object at 0x7f3a>", "<object at 0x91bcd0>"),
        ("pid 4711 died", "pid 12 died"),
        ('{"pid": 4711}', '{"pid": 12}'),
        ("wrote /tmp/pytest-1/x.txt", "wrote /tmp/pytest-22/y.txt"),
        ("wrote '/var/folders/a1/T/x'", "wrote '/private/var/folders/b2/T/x'"),
        ("\x1b[31mred\x1b[0m", "\x1b[32;1mred\x1b[0m"),
        ("\x1b[31mred\x1b[0m", "red"),
    ],
)
def test_what_passes_does_not_count(one: str, other: str) -> None:
    assert result_fingerprint(one) == result_fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 failed", "2 failed"),
        ("line 12: x", "line 13: x"),
        ("", " "),
        ("exit 1", "exit 2"),
        ("1.5", "1.6"),
        ("5M of 90M", "17M of 90M"),
        ("main.go:10:12: undefined", "main.go:15:12: undefined"),
        ("log/tmp/one.txt", "log/tmp/two.txt"),
        ("[===>   ]", "[======>]"),
        ("== a ==", "==== a ===="),
    ],
)
def test_everything_else_counts(one: str, other: str) -> None:
    assert result_fingerprint(one) != result_fingerprint(other)


def test_a_failing_pytest_run_is_always_the_same_and_one_that_gets_on_is_not() -> None:
    same = {
        pytest_said("0.52s"),
        pytest_said("9.99s", "01998d2f-5b9e-7c3a-8f00-00000000000a"),
        pytest_said("10.00s", address="0x55d0c2"),
        pytest_said("75.10s (0:01:15)"),
    }
    assert len(same) == 4
    (fingerprint,) = {result_fingerprint(output) for output in same}
    assert result_fingerprint(pytest_said("0.52s", failed=2)) != fingerprint
    assert len(fingerprint) == 32


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["1s1x", "= ~ ", "\x1b[0;", "/tmp/a:", "1:11:", "deadbeef-dead-", "2026-01-0"])
def test_the_longest_line_an_agent_may_write_costs_no_more_than_its_length(piece: str) -> None:
    result_fingerprint(piece * (2**20 // len(piece)))


def test_what_no_encoding_can_hold_has_a_fingerprint_too() -> None:
    assert result_fingerprint("lone \ud800 surrogate")
