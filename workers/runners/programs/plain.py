"""Any other program: it reads its prompt from standard input and writes text, or the events of `docs/agents.md`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dispatch.models.messages import AgentEvent
from workers.runners.base import Worktree
from workers.runners.programs.base import Spoken, Step
from workers.runners.transcript import parse_event, storable

MAX_MESSAGE = 20_000
"""Characters of the end of its text in which its last words are looked for."""


class PlainProgram:
    """Is started as its command line says; what it prints is its last message."""

    def command(self, words: Sequence[str], session: str, environment: Mapping[str, str]) -> list[str]:
        return list(words)

    def steps(self, words: Sequence[str], session: str, directory: Path) -> Sequence[Step]:
        return ()

    def listener(self, worktree: Worktree, session: str) -> "PlainListener":
        return PlainListener()


class PlainListener:
    """Takes events for events, and everything else for what the program says."""

    def __init__(self) -> None:
        self.spoken = Spoken()

    def hear(self, line: bytes) -> Iterator[AgentEvent] | None:
        event = parse_event(line)
        if event is not None:
            return iter((event,))
        text = storable(line.decode("utf-8", "replace"))
        self.spoken.message = f"{self.spoken.message}\n{text}"[-MAX_MESSAGE:]
        return None
