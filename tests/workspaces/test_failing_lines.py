"""What of a long output reaches the next run."""

import pytest

from dispatch.workspaces.failing_lines import SHORT, what_matters

NOISE = "\n".join(f"tests/test_{number}.py ........ [ {number}%]" for number in range(2_000))


def test_a_short_output_is_told_as_it_is():
    assert what_matters("one\nError: two\n", 16_384) == "one\nError: two\n"


@pytest.mark.parametrize(
    "line",
    [
        "E       assert 41 == 42",
        "FAILED tests/test_basket.py::test_round - assert 41 == 42",
        "--- FAIL: TestRound (0.00s)",
        "not ok 7 - rounds down",
        "src/basket.rs:10: thread 'main' panicked at 'index out of bounds'",
        "basket.c:12:5: error: expected ';'",
        "error[E0308]: mismatched types",
        "java.lang.NullPointerException: x",
        "make: *** [Makefile:3: test] Error 2",
        "  \u2717 rounds down",
    ],
)
def test_a_line_that_names_a_failure_comes_first_wherever_it_stood(line):
    told = what_matters(f"{NOISE}\n{line}\n{NOISE}\nthe end\n", 8_000)
    assert told.startswith(f"Lines that name a failure:\n{line}\n\nThe end of the output:\n")
    assert told.endswith("the end\n")
    assert len(told) == 8_000


def test_the_lines_take_a_part_of_the_room_only_each_once_and_cut():
    lines = "\n".join(f"FAILED number {number} {'x' * 500}" for number in range(500))
    told = what_matters(f"FAILED again\nFAILED again\n{lines}\n{NOISE}\nthe end\n", 8_000)
    head = told.split("\n\nThe end of the output:\n")[0]
    assert 1_500 < len(head) < 2_100
    assert head.count("FAILED again") == 1
    assert told.endswith("the end\n")


def test_an_output_that_names_nothing_is_its_end():
    assert what_matters("x" * (SHORT + 10_000), 8_000) == "x" * 8_000
