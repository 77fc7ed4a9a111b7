"""Keeping a conversation within what the model takes: old results are shortened, what was decided stays."""

from dataclasses import replace
from typing import Any, Final

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

CHARACTERS_A_TOKEN: Final = 3
"""Fewer than in most texts, so that the estimate is on the safe side."""
KEPT_NEWEST: Final = 6
"""Messages at the end that stay as they are, as long as the rest can be shortened."""
_SHORT: Final = 200
_KEPT_SHARE: Final = 0.5
"""What is left of the room when it is used up, so that the beginning stays the same for a while, and cached."""


class Shortener:
    """Shortens a conversation that is about to outgrow `tokens`."""

    def __init__(self, tokens: int) -> None:
        self._room = tokens * CHARACTERS_A_TOKEN

    def __call__(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        """Return the conversation, the oldest results and written texts cut as far as it takes."""
        size = sum(map(size_of, messages))
        if size <= self._room:
            return messages
        wanted, kept = int(self._room * _KEPT_SHARE), list(messages)
        # The newest ones follow only when nothing else is left: what the model just asked for it has to see.
        last = len(kept) - KEPT_NEWEST
        for index in [*range(1, max(1, last)), *range(max(1, last), len(kept))]:
            limit = wanted if index < last else self._room
            if size <= limit:
                break
            short = _shortened(kept[index])
            size -= size_of(kept[index]) - size_of(short)
            kept[index] = short
        return kept


def size_of(message: ModelMessage) -> int:
    """Return about how many characters a message has."""
    return sum(len(_text(part)) for part in message.parts)


def _text(part: Any) -> str:
    match part:
        case ToolCallPart():
            return part.tool_name + part.args_as_json_str()
        case ToolReturnPart() | UserPromptPart() | TextPart() | RetryPromptPart():
            return str(part.content)
        case _:
            return str(getattr(part, "content", ""))


def _shortened(message: ModelMessage) -> ModelMessage:
    if isinstance(message, ModelRequest):
        return replace(message, parts=[_short_return(part) for part in message.parts])
    return replace(message, parts=[_short_call(part) for part in message.parts])


def _short_return(part: Any) -> Any:
    if isinstance(part, ToolReturnPart) and len(str(part.content)) > 2 * _SHORT:
        return replace(part, content=_cut(str(part.content)))
    return part


def _short_call(part: Any) -> Any:
    """Shorten the long texts that a tool was called with, so that the call is still one."""
    if not isinstance(part, ToolCallPart) or len(part.args_as_json_str()) <= 2 * _SHORT:
        return part
    arguments = part.args_as_dict()
    return replace(
        part,
        args={
            name: _cut(value) if isinstance(value, str) and len(value) > 2 * _SHORT else value
            for name, value in arguments.items()
        },
    )


def _cut(text: str) -> str:
    return f"{text[:_SHORT]}\n[{len(text) - _SHORT:,} characters were left out here later; ask again to see them]"
