"""How agents are started, and where they work."""

from enum import StrEnum

from pydantic import Field

from dispatch.settings.fields import Arguments
from dispatch.settings.providers import ModelLimits


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
    made from the image of the run's project, and nowhere else.
    """

    kind: RunnerKind
    argv: Arguments = ()
    target: str = ""
    env: Arguments = ()
    workspace: Workspace = Workspace.WORKTREE
    runs_per_process: int = Field(default=1, ge=1)
    isolation: Isolation = Isolation.NONE
