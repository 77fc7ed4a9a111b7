"""Runners: ways to start an agent and to understand what it says."""

from workers.runners.base import ProcessIdentity, Runner, RunnerContext
from workers.runners.command import CommandRunner
from workers.runners.control import RunControl
from workers.runners.launching import Containment, was_contained
from workers.runners.llm.runner import LlmRunner
from workers.runners.processes import end_process_group
from workers.runners.python import Emit, PythonRunner

__all__ = [
    "CommandRunner",
    "Containment",
    "Emit",
    "LlmRunner",
    "ProcessIdentity",
    "PythonRunner",
    "RunControl",
    "Runner",
    "RunnerContext",
    "end_process_group",
    "was_contained",
]
