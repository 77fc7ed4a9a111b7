"""What a run is told, within its budgets: the prompt, a project's memory, and a conversation kept short. No I/O."""

from dispatch.context.compaction import Summarizer, compact
from dispatch.context.ending import LAST_WORD
from dispatch.context.fitting import one_line, readable, shortened
from dispatch.context.memory import MEMORY_ROOM, memories_in_words, ranked, value_in_words
from dispatch.context.rendering import AGENTS_FILE_ROOM, MOST_CHARACTERS, SECTIONS, render

__all__ = [
    "AGENTS_FILE_ROOM",
    "LAST_WORD",
    "MEMORY_ROOM",
    "MOST_CHARACTERS",
    "SECTIONS",
    "Summarizer",
    "compact",
    "memories_in_words",
    "one_line",
    "ranked",
    "readable",
    "render",
    "shortened",
    "value_in_words",
]
