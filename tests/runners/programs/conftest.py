"""A program's stream, as it writes it, read by its listener."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.messages import ActionEvent, AgentEvent, UsageEvent
from workers.runners.base import Worktree
from workers.runners.programs import Program
from workers.runners.programs.base import Spoken


class Heard:
    """What a listener made of a stream."""

    def __init__(self, spoken: Spoken, events: list[AgentEvent], text: list[bytes]) -> None:
        self.spoken = spoken
        self.events = events
        self.text = text

    @property
    def actions(self) -> list[tuple[str, dict[str, Any]]]:
        return [(event.action_type, event.action_data) for event in self.events if isinstance(event, ActionEvent)]

    @property
    def hashes(self) -> list[str]:
        return [event.result_hash for event in self.events if isinstance(event, ActionEvent)]

    @property
    def usage(self) -> tuple[int, int, float]:
        used = [event for event in self.events if isinstance(event, UsageEvent)]
        return sum(u.tokens_in for u in used), sum(u.tokens_out for u in used), sum(u.usd for u in used)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def hear(tmp_path: Path) -> Callable[..., Heard]:
    """Given a way to let a program's listener hear lines: objects as JSON, bytes as they are."""

    def listen(program: Program, *lines: dict[str, Any] | bytes, session: str = "") -> Heard:
        listener = program.listener(Worktree.of(tmp_path), session)
        events: list[AgentEvent] = []
        text = []
        for line in lines:
            raw = line if isinstance(line, bytes) else json.dumps(line).encode()
            heard = listener.hear(raw)
            if heard is None:
                text.append(raw)
            else:
                events += heard
        return Heard(listener.spoken, events, text)

    return listen
