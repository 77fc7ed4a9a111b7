"""OpenAI Codex: `codex exec --json`."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from dispatch.models.messages import ActionEvent, AgentEvent, ProgressEvent, SessionEvent, UsageEvent
from workers.runners.base import Worktree
from workers.runners.programs.actions import command_action, edit_action, tool_action
from workers.runners.programs.base import JsonListener, Line, Step, parted

DEFAULTS = ("-c", 'approval_policy="never"', "-c", 'sandbox_mode="workspace-write"')
"""It asks nobody, and its sandbox lets it write in its worktree only. Options of the user come later and win."""
_SHELLS = re.compile(r"(?:^|/)(?:ba|z|da|k)?sh$")


class Codex:
    """Reads its prompt from standard input. Its usage is told once, when a turn is complete."""

    def command(self, words: Sequence[str], session: str, environment: Mapping[str, str]) -> list[str]:
        program, options = parted(words)
        if program[-1] != "exec":
            program.append("exec")
        resumed = ("resume", _Counted.read(session).thread) if session else ()
        return [*program, "--json", "--skip-git-repo-check", *DEFAULTS, *options, *resumed, "-"]

    def steps(self, words: Sequence[str], session: str, directory: Path) -> Sequence[Step]:
        return ()

    def listener(self, worktree: Worktree, session: str) -> "CodexListener":
        return CodexListener(worktree, session)


class _Counted:
    """A session with the tokens of it that were told before.

    A resumed session tells the sum of all its turns, so the name that we keep carries what is charged already.
    """

    def __init__(self, thread: str, tokens_in: int = 0, tokens_out: int = 0) -> None:
        self.thread, self.tokens_in, self.tokens_out = thread, tokens_in, tokens_out

    @classmethod
    def read(cls, name: str) -> "_Counted":
        thread, _, counts = name.partition("#")
        found = re.fullmatch(r"(\d+),(\d+)", counts)
        return cls(thread, int(found[1]), int(found[2])) if found else cls(thread)

    @property
    def name(self) -> str:
        return f"{self.thread}#{self.tokens_in},{self.tokens_out}"


class _Change(Line):
    path: str


class _Item(Line):
    type: str = ""
    text: str | None = None
    message: str | None = None
    command: str = ""
    aggregated_output: str | None = None
    exit_code: int | None = None
    status: str = ""
    changes: tuple[_Change, ...] = ()
    server: str = ""
    tool: str = ""
    query: str = ""
    arguments: Any = None
    result: Any = None
    error: Any = None


class _Usage(Line):
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)


class _Error(Line):
    message: str = ""


class _Event(Line):
    type: str
    thread_id: str = ""
    item: _Item | None = None
    usage: _Usage | None = None
    error: _Error | None = None
    message: str = ""


class CodexListener(JsonListener[_Event]):
    """Understands the events of one run of `codex exec --json`."""

    def __init__(self, worktree: Worktree, session: str) -> None:
        super().__init__(_Event, worktree)
        self._counted = _Counted.read(session)

    def events(self, event: _Event) -> Iterator[AgentEvent]:
        match event.type:
            case "thread.started" if event.thread_id:
                if event.thread_id != self._counted.thread:
                    self._counted = _Counted(event.thread_id)
                yield SessionEvent(id=self._counted.name)
            case "item.completed" if event.item is not None:
                yield from self._item(event.item)
            case "turn.completed":
                if event.usage is not None:
                    yield from self._usage(event.usage)
                self.spoken.ended = True
            case "turn.failed":
                self.spoken.failure = event.error.message if event.error is not None else "The turn failed."
                self.spoken.ended = True
            case "error":
                yield ProgressEvent(message=event.message)

    def _usage(self, usage: _Usage) -> Iterator[AgentEvent]:
        before = self._counted
        if usage.input_tokens < before.tokens_in or usage.output_tokens < before.tokens_out:
            before = _Counted(before.thread)  # it began to count anew
        self._counted = _Counted(before.thread, usage.input_tokens, usage.output_tokens)
        yield UsageEvent(
            tokens_in=usage.input_tokens - before.tokens_in, tokens_out=usage.output_tokens - before.tokens_out
        )
        yield SessionEvent(id=self._counted.name)

    def _item(self, item: _Item) -> Iterator[AgentEvent]:
        match item.type:
            case "agent_message":
                self.spoken.message = item.text or ""
                yield ProgressEvent(message=self.spoken.message)
            case "command_execution":
                command = _unwrapped(item.command)
                if item.status == "declined":
                    self.spoken.denied.append(command)
                yield command_action(command, f"exit {item.exit_code}\n{item.aggregated_output}", self.worktree)
            case "file_change" if item.status != "failed":
                yield from (edit_action(change.path, self.worktree) for change in item.changes)
            case "error":
                yield ProgressEvent(message=item.message or "")
            case "mcp_tool_call" | "web_search":
                yield from self._tool(item)

    def _tool(self, item: _Item) -> Iterator[ActionEvent]:
        name = f"{item.server}.{item.tool}".strip(".") or item.type
        data = item.arguments if isinstance(item.arguments, dict) else {"query": item.query}
        action = tool_action(name, data, json.dumps([item.result, item.error], default=str), self.worktree)
        if action is not None:
            yield action


def _unwrapped(command: str) -> str:
    """Return the command that the program wrapped into a call of its shell."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    is_wrapped = len(words) == 3 and _SHELLS.search(words[0]) and words[1] in ("-c", "-lc")
    return words[2] if is_wrapped else command
