"""What was had, and what is being repeated."""

import pytest

from dispatch.loops.repetition import MAX_KNOWN, Cycle, KnownPairs, Repetition, pair_of
from tests.loops.actions import act


def repeated(letters: str) -> Repetition:
    repetition = Repetition()
    for letter in letters:
        repetition.add(letter.encode())
    return repetition


@pytest.mark.parametrize(
    ("letters", "cycle"),
    [
        ("", None),
        ("aa", None),
        ("aaa", Cycle(1, 3)),
        ("xaaaa", Cycle(1, 4)),
        ("aaab", None),
        ("ababab", Cycle(2, 3)),
        ("babababa", Cycle(2, 4)),
        ("ababa", None),
        ("aabaabaab", Cycle(3, 3)),
        ("xyabcdeabcdeabcde", Cycle(5, 3)),
        ("abcdeabcdeabcd", None),
        ("abcdefabcdefabcdef", None),
        ("abcabcabxabc", None),
    ],
)
def test_the_shortest_cycle_at_the_end_is_found(letters: str, cycle: Cycle | None) -> None:
    assert repeated(letters).cycle(3) == cycle


def test_any_threshold_can_be_asked_for_at_any_time() -> None:
    repetition = repeated("abc" * 100)
    assert repetition.cycle(2) == repetition.cycle(100) == Cycle(3, 100)
    assert repetition.cycle(101) is None


def test_a_pair_is_an_action_with_its_result() -> None:
    pairs = [act(), act(result="other"), act(what="other"), act("read"), act("test")]
    assert len({pair_of(action) for action in pairs}) == 5
    assert pair_of(act(note="whatever")) == pair_of(act())


def test_without_a_result_the_data_stand_for_it() -> None:
    one, other = (act("edit", "a.py", "", text=text) for text in ("x = 1", "x = 2"))
    assert pair_of(one) != pair_of(other)
    assert pair_of(one) == pair_of(act("edit", "a.py", "", text="x = 1"))


def test_the_pairs_that_were_had_last_are_known_and_no_more_than_that() -> None:
    known = KnownPairs()
    first, second, *others = (number.to_bytes(8, "big") for number in range(MAX_KNOWN + 1))
    assert known.add(first)
    assert known.add(second)
    assert not known.add(first), "it is now the one that was had last"
    assert all(known.add(pair) for pair in others)
    assert len(known) == MAX_KNOWN
    assert not known.add(first)
    assert known.add(second), "it was forgotten"
