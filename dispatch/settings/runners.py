"""How agents are started, and where they work."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from dispatch.settings.fields import Arguments, Patience, Prices
from dispatch.settings.presets import KNOWN_PROGRAMS, Preset
from dispatch.settings.providers import ModelLimits

DEFAULT_SILENCE_LIMIT = timedelta(minutes=5)
"""How long an agent program may print nothing at all before it is taken for one that waits for somebody."""


class RunnerKind(StrEnum):
    COMMAND = "command"
    PYTHON = "python"
    LLM = "llm"


class Workspace(StrEnum):
    """Where an agent works: in a git worktree of its project, or in an empty directory."""

    WORKTREE = "worktree"
    EMPTY = "empty"


class Isolation(StrEnum):
    """What is between an agent and the worker's host: nothing but its environment, or a container of its project."""

    NONE = "none"
    CONTAINER = "container"


class RunnerSettings(ModelLimits):
    """How an agent is started: a `command` by its `argv`, a `python` function by its `target` ("module:function").

    An `llm` is an agent of dispatch's own on a provider of its role, within the limits that stand before the rest.

    `env` names the variables that are passed through besides PATH, HOME and locale. An agent that changes no file of
    the project needs no worktree: its `workspace` may be `empty`. A function may share its process with
    `runs_per_process` - 1 other runs, one after the other. With `isolation = "container"` a command runs in a container
    made from the image of the run's project, and nowhere else; of an `llm` that holds for what its model starts.

    A `preset` says how an agent program is driven that does not speak the protocol of `docs/agents.md`; its kind is
    `command`, and its `argv` may name another program than the preset's, and options. A program that prints nothing
    for `silence_limit` is stopped ("never": by its time limit only). `usd_per_mtok` is what a million tokens cost,
    in and out, for programs that tell tokens and no dollars.
    """

    kind: RunnerKind
    preset: Preset | None = None
    argv: Arguments = ()
    target: str = ""
    env: Arguments = ()
    workspace: Workspace = Workspace.WORKTREE
    runs_per_process: int = Field(default=1, ge=1)
    isolation: Isolation = Isolation.NONE
    silence_limit: Patience = DEFAULT_SILENCE_LIMIT
    usd_per_mtok: Prices | None = None

    @model_validator(mode="before")
    @classmethod
    def _preset_is_a_command(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("preset"):
            return {"kind": RunnerKind.COMMAND, **values}
        return values

    @property
    def command_line(self) -> tuple[str, ...]:
        """The words of its `argv`, or the program of its preset."""
        known = KNOWN_PROGRAMS.get(self.preset) if self.preset is not None else None
        return self.argv or ((known.program,) if known is not None else ())

    @property
    def silence_seconds(self) -> float:
        """The silence limit in seconds; infinite for "never"."""
        return self.silence_limit.total_seconds() if isinstance(self.silence_limit, timedelta) else float("inf")
