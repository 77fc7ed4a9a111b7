"""Keeping a conversation short: its beginning and its end, and between them a note of what was left out."""

from collections.abc import Callable, Sequence
from typing import Final

from dispatch.context.fitting import shortened
from dispatch.models.session import Turn

MAX_TURNS: Final = 100
MAX_CHARACTERS: Final = 60_000
"""Of a whole conversation as it is kept."""
MAX_TURN: Final = 8_000
"""Characters of one turn as it is kept."""
_KEPT_SHARE: Final = 0.5
"""What is left of a limit when it is passed: compaction is then due again only after as much was said anew."""

Summarizer = Callable[[Sequence[Turn]], str]
"""Says in a few words what turns held; the turns may begin with a note that stands for earlier ones."""


def compact(
    turns: Sequence[Turn],
    *,
    max_turns: int = MAX_TURNS,
    max_characters: int = MAX_CHARACTERS,
    max_turn: int = MAX_TURN,
    summarize: Summarizer | None = None,
) -> tuple[Turn, ...]:
    """Return a conversation within its limits: the first turn, a note, and the newest turns.

    Each turn is cut to `max_turn` characters in its middle. When there are too many turns or characters, the newest are
    kept that fit into half of the limits. The note is counts; with `summarize` it is what that says, `max_turn`
    characters of it. Limits are to leave room for the first turn, the note and the last turn.
    """
    short = [_cut(turn, max_turn) for turn in turns]
    if len(short) <= max_turns and _characters(short) <= max_characters:
        return tuple(short)
    first, rest = short[0], short[1:]
    kept = _newest(rest, int(max_turns * _KEPT_SHARE), int(max_characters * _KEPT_SHARE) - len(first.text) - max_turn)
    middle = rest[: len(rest) - len(kept)]
    if not middle:
        return (first, *kept)
    return (first, _note(middle, max_turn, summarize), *kept)


def _newest(turns: Sequence[Turn], most: int, characters: int) -> list[Turn]:
    """Return the newest turns that fit, the very last one whatever its length. A note is never kept: it is renewed."""
    kept: list[Turn] = []
    for turn in reversed(turns):
        characters -= len(turn.text)
        if turn.role == "note" or (kept and (len(kept) >= most or characters < 0)):
            break
        kept.insert(0, turn)
    return kept


def _note(middle: Sequence[Turn], max_turn: int, summarize: Summarizer | None) -> Turn:
    count = sum(turn.left_out if turn.role == "note" else 1 for turn in middle)
    characters = sum(turn.left_out_characters if turn.role == "note" else len(turn.text) for turn in middle)
    counts = f"{count:,} turns of {characters:,} characters were left out here."
    text = f"{counts} {summarize(middle)}" if summarize is not None else counts
    return Turn(role="note", text=shortened(text, max_turn), left_out=count, left_out_characters=characters)


def _cut(turn: Turn, room: int) -> Turn:
    if len(turn.text) <= room:
        return turn
    return turn.model_copy(update={"text": shortened(turn.text, room, keep_end=True)})


def _characters(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text) for turn in turns)
