"""A conversation kept short."""

from hypothesis import given
from hypothesis import strategies as st

from dispatch.context import compact
from dispatch.models.session import Turn

TURNS = st.lists(
    st.builds(Turn, role=st.sampled_from(["user", "assistant", "tool"]), text=st.text("ab\n", max_size=60)), max_size=40
)


def said(*texts: str) -> list[Turn]:
    return [Turn(role="assistant", text=text) for text in texts]


def test_what_is_short_stays_as_it_is() -> None:
    turns = said("one", "two")
    assert compact(turns) == tuple(turns)
    assert compact([]) == ()


def test_the_first_and_the_newest_stay_and_the_rest_is_counted() -> None:
    first, note, *newest = compact(said(*(f"{n:03}" for n in range(101))))
    assert first.text == "000"
    assert (note.role, note.left_out, note.left_out_characters) == ("note", 50, 150)
    assert note.text == "50 turns of 150 characters were left out here."
    assert [turn.text for turn in newest] == [f"{n:03}" for n in range(51, 101)]


def test_counts_add_up_when_it_gets_long_again() -> None:
    turns: tuple[Turn, ...] = ()
    for number in range(500):
        turns = compact([*turns, *said(f"{number:03}")])
    (note,) = (turn for turn in turns if turn.role == "note")
    assert note.left_out + len(turns) - 1 == 500
    assert note.left_out_characters == 3 * note.left_out
    assert turns[1] is note


def test_a_long_turn_is_cut_in_its_middle() -> None:
    (turn,) = compact(said("a" * 10_000 + "z"), max_turn=200)
    assert len(turn.text) <= 200
    assert turn.text.startswith("aaa")
    assert turn.text.endswith("z")
    assert "of 10,001 characters left out" in turn.text


def test_a_summarizer_says_what_was_left_out() -> None:
    seen: list[Turn] = []

    def summarize(turns: object) -> str:
        seen.extend(turns)  # type: ignore[call-overload]
        return "They talked."

    _first, note, *_newest = compact(said(*(str(n) for n in range(101))), summarize=summarize)
    assert note.text.endswith("left out here. They talked.")
    assert [turn.text for turn in seen] == [str(n) for n in range(1, 51)]


@given(turns=TURNS, most=st.integers(4, 20))
def test_it_keeps_to_its_limits_and_loses_no_count(turns: list[Turn], most: int) -> None:
    kept = compact(turns, max_turns=most, max_characters=400, max_turn=60)
    assert len(kept) <= max(most, 3)
    assert sum(len(turn.text) for turn in kept) <= 400
    assert sum(turn.left_out or 1 for turn in kept) == len(turns)
    assert kept[:1] == tuple(turns[:1])
    assert kept[-1:] == tuple(turns[-1:])
    assert compact(kept, max_turns=most, max_characters=400, max_turn=60) == kept
