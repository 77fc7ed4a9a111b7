"""The files of one run, outside the worktree: what the agent is told, and what it printed."""

import os
from pathlib import Path

from dispatch.context import render
from workers.runners.base import RunnerContext
from workers.runners.transcript import Transcript

ASSIGNMENT_FILE = "assignment.json"
PROMPT_FILE = "prompt.md"
MODEL_RUN_FILE = "model.json"
LOG_FILE = "agent.log"


def write_assignment(context: RunnerContext) -> Path:
    """Write the assignment where only its owner can read it; return the file. Raises OSError."""
    return _write(context, ASSIGNMENT_FILE, context.assignment.model_dump_json())


def write_prompt(context: RunnerContext, *, by_text: bool = False) -> Path:
    """Write the assignment as a prompt, beside the assignment; return the file. Raises OSError.

    `by_text` is for programs that say in their last message how they ended.
    """
    return _write(context, PROMPT_FILE, render(context.assignment, by_text=by_text))


def write_model_run(context: RunnerContext, text: str) -> Path:
    """Write on which model the run works, beside the assignment; return the file. Raises OSError."""
    return _write(context, MODEL_RUN_FILE, text)


def _write(context: RunnerContext, name: str, text: str) -> Path:
    context.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = context.run_directory.absolute() / name
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def open_transcript(context: RunnerContext) -> Transcript:
    """Begin the run's log. Raises OSError."""
    return Transcript(context.run_directory / LOG_FILE, context.on_event)
