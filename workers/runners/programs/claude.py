"""Anthropic's Claude Code: `claude -p --output-format stream-json`."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from dispatch.models.messages import AgentEvent, ProgressEvent, SessionEvent, UsageEvent
from workers.runners.base import Worktree
from workers.runners.programs.actions import tool_action
from workers.runners.programs.base import JsonListener, Line, Step, has_option, parted

DEFAULTS = ("--permission-mode", "acceptEdits", "--allowed-tools", "Bash")
"""It edits in its worktree and runs commands without asking; what else it would ask for is refused.

Whoever gives one of these, or `--dangerously-skip-permissions`, decides alone.
"""
_PERMISSIONS = ("--permission-mode", "--allowed-tools", "--allowedTools", "--dangerously-skip-permissions")
_DENIED = re.compile(r"requested permissions? to (.{1,300}?),? but you haven.t granted", re.DOTALL)


class Claude:
    """Reads its prompt from standard input. It tells dollars itself, when it is done."""

    def command(self, words: Sequence[str], session: str, environment: Mapping[str, str]) -> list[str]:
        program, options = parted(words)
        defaults = () if has_option(options, *_PERMISSIONS) else DEFAULTS
        resumed = ("--resume", str(session_file(session, environment) or session)) if session else ()
        output = ("--print", "--output-format", "stream-json", "--verbose")
        return [*program, *defaults, *options, *output, *resumed]

    def steps(self, words: Sequence[str], session: str, directory: Path) -> Sequence[Step]:
        return ()

    def listener(self, worktree: Worktree, session: str) -> "ClaudeListener":
        return ClaudeListener(worktree)


def session_file(session: str, environment: Mapping[str, str]) -> Path | None:
    """Return the file that the program keeps a session in, or None when it is not found.

    By its bare name a session is only found in the directory that it began in, and each run has a worktree of its own.
    """
    home = environment.get("CLAUDE_CONFIG_DIR") or f"{environment.get('HOME', '')}/.claude"
    if not re.fullmatch(r"[\w-]+", session):
        return None
    return next(iter(sorted(Path(home).glob(f"projects/*/{session}.jsonl"))), None)


class _Block(Line):
    type: str = ""
    text: str | None = None
    id: str = ""
    name: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    tool_use_id: str = ""
    content: Any = None


class _Usage(Line):
    input_tokens: int | None = Field(default=0, ge=0)
    cache_read_input_tokens: int | None = Field(default=0, ge=0)
    cache_creation_input_tokens: int | None = Field(default=0, ge=0)
    output_tokens: int | None = Field(default=0, ge=0)

    @property
    def tokens_in(self) -> int:
        return (self.input_tokens or 0) + (self.cache_read_input_tokens or 0) + (self.cache_creation_input_tokens or 0)


class _ModelUsage(Line):
    tokens_in: int = Field(default=0, ge=0, alias="inputTokens")
    cache_read: int = Field(default=0, ge=0, alias="cacheReadInputTokens")
    cache_creation: int = Field(default=0, ge=0, alias="cacheCreationInputTokens")
    tokens_out: int = Field(default=0, ge=0, alias="outputTokens")


class _Message(Line):
    id: str = ""
    content: tuple[_Block, ...] | str = ()
    usage: _Usage | None = None

    @property
    def blocks(self) -> tuple[_Block, ...]:
        return () if isinstance(self.content, str) else self.content


class _Denial(Line):
    tool_name: str = ""


class _Event(Line):
    type: str
    subtype: str = ""
    session_id: str = ""
    parent_tool_use_id: str | None = None
    message: _Message | None = None
    result: str | None = None
    is_error: bool = False
    errors: tuple[str, ...] = ()
    total_cost_usd: float | None = Field(default=None, ge=0)
    usage: _Usage | None = None
    models: dict[str, _ModelUsage] = Field(default_factory=dict, alias="modelUsage")
    permission_denials: tuple[_Denial, ...] = ()
    error: Any = None


class ClaudeListener(JsonListener[_Event]):
    """Understands the stream of one run of `claude -p`."""

    def __init__(self, worktree: Worktree) -> None:
        super().__init__(_Event, worktree)
        self._session = ""
        self._tools: dict[str, _Block] = {}
        self._messages: set[str] = set()
        self._tokens_in = self._tokens_out = 0

    def events(self, event: _Event) -> Iterator[AgentEvent]:
        match event.type:
            case "system":
                yield from self._system(event)
            case "assistant" if event.message is not None:
                yield from self._assistant(event.message, is_own=event.parent_tool_use_id is None)
            case "user" if event.message is not None:
                yield from self._results(event.message)
            case "result":
                yield from self._result(event)

    def _system(self, event: _Event) -> Iterator[AgentEvent]:
        if event.subtype == "init" and event.session_id and event.session_id != self._session:
            self._session = event.session_id
            yield SessionEvent(id=event.session_id)
        elif event.subtype == "api_retry":
            yield ProgressEvent(message=f"The model does not answer ({event.error}); it tries again.")

    def _assistant(self, message: _Message, *, is_own: bool) -> Iterator[AgentEvent]:
        """Take a part of what the model said. A message comes in parts, each with the usage of the whole."""
        if message.usage is not None and message.id not in self._messages:
            self._messages.add(message.id)
            self._tokens_in += message.usage.tokens_in
            yield UsageEvent(tokens_in=message.usage.tokens_in)
        for block in message.blocks:
            if block.type == "tool_use":
                self._tools[block.id] = block
            elif block.type == "text" and block.text and is_own:
                self.spoken.message = block.text
                yield ProgressEvent(message=block.text)

    def _results(self, message: _Message) -> Iterator[AgentEvent]:
        for block in message.blocks:
            tool = self._tools.pop(block.tool_use_id, None)
            if block.type != "tool_result" or tool is None:
                continue
            result = _text(block.content)
            denied = _DENIED.search(result)
            if denied is not None:
                self.spoken.denied.append(denied[1])
            action = tool_action(tool.name, tool.input, result, self.worktree)
            if action is not None:
                yield action

    def _result(self, event: _Event) -> Iterator[AgentEvent]:
        yield from self._rest_of_usage(event)
        if event.is_error or event.subtype not in ("", "success"):
            self.spoken.failure = event.result or "; ".join(event.errors) or event.subtype
        elif event.result:
            self.spoken.message = event.result
        if not self.spoken.denied:
            self.spoken.denied += [f"the tool {denial.tool_name}" for denial in event.permission_denials]
        self.spoken.ended = True

    def _rest_of_usage(self, event: _Event) -> Iterator[AgentEvent]:
        """Tell what the whole run used beyond what was told already; other models than the main one are in it."""
        used = event.models.values()
        tokens_in = sum(one.tokens_in + one.cache_read + one.cache_creation for one in used)
        tokens_out = sum(one.tokens_out for one in used)
        if not used and event.usage is not None:
            tokens_in, tokens_out = event.usage.tokens_in, event.usage.output_tokens or 0
        rest_in, rest_out = max(0, tokens_in - self._tokens_in), max(0, tokens_out - self._tokens_out)
        self._tokens_in, self._tokens_out = self._tokens_in + rest_in, self._tokens_out + rest_out
        usd = event.total_cost_usd or 0
        if rest_in or rest_out or usd:
            yield UsageEvent(tokens_in=rest_in, tokens_out=rest_out, usd=usd)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") if isinstance(part, dict) else None for part in content)
        texts = [part for part in parts if isinstance(part, str)]
        return "\n".join(texts) if texts else json.dumps(content, default=str)
    return ""
