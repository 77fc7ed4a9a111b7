"""Flower's configuration, read by `celery -A workers flower` from the directory where it starts.

Flower takes every name of this module that is one of its options; a flag or FLOWER_* variable overrides it.
"""

import ast
from typing import Any

address = "127.0.0.1"
"""Only this machine: whoever reaches Flower without its authentication can end tasks."""

tasks_columns = "name,args,state,received,started,runtime,worker,uuid"

task_runtime_metric_buckets = [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 2700.0, 3600.0]
"""Seconds. Flower's own end at ten seconds; a run may take half an hour."""

RUN_TASK = "workers.tasks.run"


def format_task(task: Any) -> Any:
    """Show of a run what a human looks for: bead, role, attempt, and whose agent has it. Other tasks stay as they are.

    `task` is a copy of Flower's record; its `args` are the text that Celery made of the arguments, cut when long.
    """
    message = _first_argument(task.args) if task.name == RUN_TASK else {}
    if {"project_id", "bead_id", "role", "attempt"} <= message.keys():
        agent = f"agent of {task.worker.hostname}" if task.worker else "no agent yet"
        task.args = (
            f"{message['project_id']}/{message['bead_id']}, {message['role']}, attempt {message['attempt']}, {agent}"
        )
    return task


def _first_argument(text: str | None) -> dict[str, Any]:
    """Return the first argument of a task if it can be read back from its text as a dictionary, else an empty one."""
    try:
        arguments = ast.literal_eval(text or "")
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    return arguments[0] if isinstance(arguments, tuple) and arguments and isinstance(arguments[0], dict) else {}
