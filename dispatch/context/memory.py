"""What is remembered about a project: in the words of a prompt, and the answer to a question."""

import json
from collections.abc import Sequence
from typing import Any, Final

from dispatch.context.fitting import Item, block, listed, one_line, readable
from dispatch.models.memory import Memory, ToldMemories

MEMORY_ROOM: Final = 4_000
"""Characters of a project's memory in a prompt."""
_MOST_OF_ONE: Final = 1_500
_KEY_ROOM: Final = 80
_ONE_LINE: Final = 400
"""Characters that a value of one line may have to stand beside its key."""
_KEY_WEIGHT: Final = 3


def memories_in_words(told: ToldMemories, room: int = MEMORY_ROOM) -> str:
    """Return memories as Markdown in at most `room` characters, the newest first; empty when there are none."""
    if not told.total:
        return ""
    items: list[Item] = [_item(memory) for memory in told.newest]
    unread = told.total - len(items)
    if not unread:
        return listed(items, room, most=_MOST_OF_ONE, what="older memories")
    note = f"({unread} older memories are not shown here.)"
    return f"{listed(items, room - len(note) - 2, most=_MOST_OF_ONE, what='newer memories')}\n\n{note}"


def _item(memory: Memory) -> Item:
    key, text = one_line(memory.key, _KEY_ROOM), value_in_words(memory.value)
    if "\n" in text or len(text) > _ONE_LINE:
        return lambda room: block(f"- **{key}**:", text, room)
    return lambda room: one_line(f"- **{key}**: {text}", room)


def value_in_words(value: Any) -> str:
    """Return a memory's value as text: JSON, unless it is a text already."""
    return readable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def ranked(memories: Sequence[Memory], query: str) -> list[Memory]:
    """Return the memories that have a word of the query in their key or value, the best first.

    Best is what has most of the words, then what has them in its key; among equals the order stays.
    """
    words = set(query.casefold().split())
    scored = [(_score(memory, words), memory) for memory in memories]
    return [memory for score, memory in sorted(scored, key=lambda one: one[0], reverse=True) if score[0]]


def _score(memory: Memory, words: set[str]) -> tuple[int, int]:
    key, text = memory.key.casefold(), value_in_words(memory.value).casefold()
    found = [word for word in words if word in key or word in text]
    return len(found), sum(_KEY_WEIGHT * (word in key) + (word in text) for word in found)
