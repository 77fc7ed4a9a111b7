"""opencode: `opencode run --format json`."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from dispatch.models.messages import AgentEvent, ProgressEvent, SessionEvent, UsageEvent
from workers.runners.base import Worktree
from workers.runners.programs.actions import tool_action
from workers.runners.programs.base import JsonListener, Line, Step, parted

_DENIED = re.compile(r"rejected permission|permission.{0,40}(?:denied|rejected)", re.IGNORECASE)
_MORE_TO_COME = "tool-calls"
"""Why a step ended after which another one follows."""


class OpenCode:
    """Reads its prompt from standard input. What its configuration would ask somebody about, it refuses itself."""

    def command(self, words: Sequence[str], session: str, environment: Mapping[str, str]) -> list[str]:
        program, options = parted(words)
        if program[-1] != "run":
            program.append("run")
        return [*program, "--format", "json", *options, *(("--session", session) if session else ())]

    def steps(self, words: Sequence[str], session: str, directory: Path) -> Sequence[Step]:
        """Take the session out of the worktree that it began in, which is gone, and into the one of this run."""
        program, _ = parted(words)
        if program[-1] == "run":
            program.pop()
        copy = directory / "session.json"
        return (Step([*program, "export", session], output=copy), Step([*program, "import", str(copy)]))

    def listener(self, worktree: Worktree, session: str) -> "OpenCodeListener":
        return OpenCodeListener(worktree)


class _State(Line):
    status: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    output: str | None = None
    error: str | None = None
    metadata: dict[str, Any] | None = None


class _Cache(Line):
    read: int = Field(default=0, ge=0)
    write: int = Field(default=0, ge=0)


class _Tokens(Line):
    input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)
    reasoning: int = Field(default=0, ge=0)
    cache: _Cache = _Cache()


class _Part(Line):
    text: str | None = None
    tool: str = ""
    state: _State | None = None
    reason: str = ""
    tokens: _Tokens | None = None
    cost: float | None = Field(default=None, ge=0)


class _ErrorData(Line):
    message: str = ""


class _Error(Line):
    name: str = ""
    data: _ErrorData = _ErrorData()


class _Event(Line):
    type: str
    session: str = Field(default="", alias="sessionID")
    part: _Part | None = None
    error: _Error | None = None


class OpenCodeListener(JsonListener[_Event]):
    """Understands the events of one run of `opencode run --format json`."""

    def __init__(self, worktree: Worktree) -> None:
        super().__init__(_Event, worktree)
        self._session = ""

    def events(self, event: _Event) -> Iterator[AgentEvent]:
        if event.session and event.session != self._session and event.type != "error":
            self._session = event.session
            yield SessionEvent(id=event.session)
        if event.type == "error" and event.error is not None:
            self.spoken.failure = ": ".join(filter(None, (event.error.name, event.error.data.message)))
        elif event.part is not None:
            yield from self._part(event.type, event.part)

    def _part(self, kind: str, part: _Part) -> Iterator[AgentEvent]:
        match kind:
            case "text" if part.text:
                self.spoken.message = part.text
                yield ProgressEvent(message=part.text)
            case "tool_use" if part.state is not None and part.state.status in ("completed", "error"):
                yield from self._tool(part.tool, part.state)
            case "step_finish":
                yield from _usage(part)
                self.spoken.ended = part.reason != _MORE_TO_COME

    def _tool(self, name: str, state: _State) -> Iterator[AgentEvent]:
        result = f"exit {(state.metadata or {}).get('exit')}\n{state.output or state.error or ''}"
        self.spoken.message = ""  # what it said before is not its last word
        if state.error and _DENIED.search(state.error):
            self.spoken.denied.append(f"{name} {json.dumps(state.input, default=str)[:300]}")
        action = tool_action(name, state.input, result, self.worktree)
        if action is not None:
            yield action


def _usage(part: _Part) -> Iterator[UsageEvent]:
    if part.tokens is None:
        return
    tokens = part.tokens
    yield UsageEvent(
        tokens_in=tokens.input + tokens.cache.read + tokens.cache.write,
        tokens_out=tokens.output + tokens.reasoning,
        usd=part.cost or 0,
    )
