"""The arithmetic of the benchmarks."""

import pytest

from benchmarks.parts.figures import Row, Target, median_ratio, percentile
from benchmarks.parts.report import number


def test_a_percentile_is_a_value_that_was_measured_and_that_enough_others_do_not_exceed() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100)) == (50, 99, 100)
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7


def test_the_ratio_is_that_of_what_was_measured_side_by_side() -> None:
    # Given a machine that was ten times slower in the middle round
    assert median_ratio([2, 20, 2.2], [1, 10, 1]) == 2


def test_pairs_have_to_be_complete() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        median_ratio([1, 2], [1])


@pytest.mark.parametrize(("ratio", "reached"), [(1.4, True), (1.5, True), (1.6, False)])
def test_a_row_tells_whether_its_target_was_reached(ratio: float, reached: bool) -> None:
    target = Target(of="ratio", kind="at most", bound=1.5)
    row = Row(name="large", value=15, unit="ms", ratio=ratio, base="small", target=target)
    assert row.reached is reached
    assert row.as_json() == {
        "name": "large",
        "value": 15,
        "unit": "ms",
        "ratio": ratio,
        "ratio_base": "small",
        "target": "ratio at most 1.5",
        "reached": reached,
        "note": "",
    }


def test_a_row_without_a_target_reaches_nothing_and_misses_nothing() -> None:
    assert Row(name="small", value=10, unit="ms").as_json()["reached"] is None


def test_a_target_may_be_for_the_value_and_a_floor() -> None:
    floor = Target(of="value", kind="at least", bound=100)
    assert Row(name="chords", value=120, unit="a second", target=floor).reached
    assert not Row(name="chords", value=90, unit="a second", target=floor).reached


def test_a_target_for_a_ratio_that_is_missing_is_an_error() -> None:
    row = Row(name="large", value=15, unit="ms", target=Target(of="ratio", kind="at most", bound=1.5))
    with pytest.raises(ValueError, match="large has a target"):
        _ = row.reached


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (0.5, "0.50"), (9.876, "9.88"), (98.76, "98.8"), (1234.5, "1,234")],
)
def test_numbers_are_written_with_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text
