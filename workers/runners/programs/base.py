"""What each agent program is asked: how it is started, and how its output is understood."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dispatch.models.messages import AgentEvent
from workers.runners.base import Worktree
from workers.runners.transcript import without_nulls


@dataclass(slots=True)
class Spoken:
    """What a program has said so far that tells how its run ends.

    `message` is its last message, `failure` the error that ended it, `denied` the permissions that it asked for and
    nobody gave, `ended` whether it said that it is done.
    """

    message: str = ""
    failure: str = ""
    denied: list[str] = field(default_factory=list)
    ended: bool = False


class Listener(Protocol):
    """Understands the output of one start of a program."""

    spoken: Spoken

    def hear(self, line: bytes) -> Iterator[AgentEvent] | None:
        """Return the events that a line of standard output tells of, or None when it is plain text."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """A command that comes before a program can resume its session; its output goes to a file, if one is set."""

    command: Sequence[str]
    output: Path | None = None


class Program(Protocol):
    """An agent program. `words` are the command line of the configuration, its program already found.

    The prompt is on standard input, never among the words: it can be longer than those may be, and is nothing that a
    shell or a parser of options should see. `session` is the program's own, empty for a new one.
    """

    def command(self, words: Sequence[str], session: str, environment: Mapping[str, str]) -> list[str]:
        """Return the command that starts the program so that it never asks a terminal."""
        ...

    def steps(self, words: Sequence[str], session: str, directory: Path) -> Sequence[Step]:
        """Return what has to be done before the session can be resumed in another worktree.

        `directory` is for files of this run.
        """
        ...

    def listener(self, worktree: Worktree, session: str) -> Listener: ...


class Line(BaseModel):
    """A part of a program's JSON. What it has besides is ignored; what is missing has a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")


AnyLine = TypeVar("AnyLine", bound=Line)


def json_object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line, storable as it is; None when the line is none."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return without_nulls(found) if isinstance(found, dict) else None


class JsonListener(Generic[AnyLine]):
    """A listener for programs that write JSON lines with a `type`. Those that are of no use are heard, and no text."""

    def __init__(self, kind: type[AnyLine], worktree: Worktree) -> None:
        self.spoken = Spoken()
        self.worktree = worktree
        self._kind = kind

    def hear(self, line: bytes) -> Iterator[AgentEvent] | None:
        found = json_object(line)
        if found is None:
            return None
        try:
            return self.events(self._kind.model_validate(found))
        except ValidationError:
            return iter(())

    def events(self, event: AnyLine) -> Iterator[AgentEvent]:
        """Return what an event of the program means in ours."""
        raise NotImplementedError


def parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part a command line into the words that name the program and the options of the user behind them."""
    program = list(takewhile(lambda word: not word.startswith("-"), words))
    return program, list(words[len(program) :])


def has_option(options: Sequence[str], *names: str) -> bool:
    """Tell whether the user gave one of these options, alone or as `--name=value`."""
    return any(option.partition("=")[0] in names for option in options)
