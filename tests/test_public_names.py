"""The names that other programs import."""

import inspect
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import dispatch


@pytest.mark.parametrize("name", dispatch.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(dispatch, name)

    assert isinstance(value, timedelta) or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'dispatcher_of_everything'"):
        _ = dispatch.dispatcher_of_everything


def test_routing_works_alone_on_values_built_in_memory() -> None:
    bead = dispatch.Bead(id="a", title="[auto-filed] KeyError", description="Traceback (most recent call last):")
    agent = dispatch.Agent(id=uuid.uuid4(), name="one", roles=("backend-engineer",))

    route = dispatch.AutoBugRouter().analyze_bug_for_routing(bead)

    assert dispatch.PersonaMatcher().find_agent_by_persona_hint(route.persona_hint, [agent]) is agent


def test_the_package_itself_loads_neither_celery_nor_sqlalchemy() -> None:
    program = "import sys, dispatch; print(sorted({'celery', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


Check = Callable[[], bool]


def takes(function: Any, *names: str) -> bool:
    """Tell whether a function can be called with these, by name or in this order."""
    parameters = [name for name in inspect.signature(function).parameters if name != "self"]
    return set(names) <= set(parameters) and [name for name in parameters if name in names] == list(names)


def has(value: Any, *names: str) -> bool:
    """Tell whether a class or an enumeration has these, and each function among them says what it does."""
    found = [inspect.getattr_static(value, name, None) for name in names]
    return all(one is not None and (not inspect.isfunction(one) or one.__doc__) for one in found)


def holds(value: Any, *names: str) -> bool:
    """Tell whether a frozen value has these fields."""
    return set(names) <= {field.name for field in fields(value)}


ROWS: dict[str, Check] = {
    "DefaultTaskTimeout": lambda: timedelta(minutes=30) == dispatch.DEFAULT_TASK_TIMEOUT,
    "Dispatcher.DispatchOnce": lambda: (
        takes(dispatch.Dispatcher.dispatch_once, "project_id")
        and takes(dispatch.Dispatcher.dispatch, "project_id", "limit")
    ),
    "DispatchResult": lambda: holds(
        dispatch.DispatchResult,
        *("dispatched", "project_id", "bead_id", "agent_id", "provider_id", "run_id", "role", "reason", "error"),
    ),
    "NewDispatcher": lambda: (
        takes(dispatch.Dispatcher, "store", "bus", "settings", "readiness_check", "escalator")
        and takes(dispatch.Dispatcher, "workflows", "swarm", "memory", "worktrees", "containers")
        and takes(dispatch.connect, "home")
    ),
    "GetSystemStatus": lambda: (
        takes(dispatch.Dispatcher.system_status, "project_id")
        and holds(dispatch.SystemStatus, "state", "reason", "updated_at")
        and has(dispatch.StatusState, "ACTIVE", "PARKED")
    ),
    "SetReadinessCheck": lambda: (
        takes(dispatch.ReadinessCheck.__call__, "project")
        and holds(dispatch.Readiness, "ok", "issues")
        and has(dispatch.ReadinessMode, "BLOCK", "WARN")
        and "readiness_check" in type(guards()).model_fields
    ),
    "SetMaxDispatchHops": lambda: guards().max_dispatch_hops == 20,
    "Escalator.EscalateBeadToCEO": lambda: takes(
        dispatch.Escalator.escalate_bead_to_ceo, "bead_id", "reason", "returned_to"
    ),
    "SetLifecycleContext": lambda: has(dispatch.Swarm, "stop_taking"),
    "SetDatabase": lambda: (
        "sessions" in dispatch.Settings.model_fields and "session" in dispatch.Assignment.model_fields
    ),
    "SetMemoryManager": lambda: (
        takes(dispatch.ProjectMemory.remember, "project_id", "key", "value")
        and takes(dispatch.ProjectMemory.recall, "project_id", "query")
        and takes(dispatch.ProjectMemory.for_prompt, "project_id")
    ),
    "SetMessageBus": lambda: (
        takes(dispatch.MessageBus.publish_task, "project_id", "task")
        and takes(dispatch.MessageBus.publish_task_for_role, "project_id", "role", "task")
        and {"version"} <= set(dispatch.TaskMessage.model_fields) & set(dispatch.ResultMessage.model_fields)
        and has(dispatch.CeleryBus, "publish_task")
        and has(dispatch.LocalBus, "publish_task")
    ),
    "SetSwarmManager": lambda: (
        has(dispatch.Swarm, "register", "heartbeat", "leave", "roles_served")
        and takes(dispatch.Swarm.agents, "role", "idle")
    ),
    "SetWorkflowEngine": lambda: (
        takes(dispatch.WorkflowEngine.start, "bead")
        and takes(dispatch.WorkflowEngine.current_node, "bead")
        and takes(dispatch.WorkflowEngine.advance, "bead", "condition", "result")
        and takes(dispatch.WorkflowEngine.fail_node, "bead", "error")
    ),
    "SetWorktreeManager": lambda: (
        takes(dispatch.WorktreeManager.create, "run")
        and takes(dispatch.WorktreeManager.commit_all, "run", "message")
        and has(dispatch.WorktreeManager, "remove", "collect")
    ),
    "SetContainerOrchestrator": lambda: (
        takes(dispatch.ContainerOrchestrator.start, "project_id", "worktree")
        and has(dispatch.ContainerOrchestrator, "exec", "stop", "collect")
    ),
    "ResultHandler.Track": lambda: (
        takes(dispatch.ResultHandler.track, "correlation_id", "project_id", "bead_id", "agent_id", "role")
        and takes(dispatch.ResultHandler.handle_result, "result")
        and has(dispatch.ResultHandler, "get_pending", "pending_count")
        and holds(
            dispatch.PendingTask,
            *("correlation_id", "project_id", "bead_id", "agent_id", "role", "dispatched_at", "last_update"),
        )
    ),
    "LoopDetector": lambda: (
        has(
            dispatch.LoopDetector,
            *("record_action", "is_stuck_in_loop", "get_action_history_json", "get_progress_summary"),
            *("get_agent_commit_range", "reset_progress", "set_repeat_threshold", "suggest_next_steps"),
        )
        and holds(dispatch.ActionRecord, "timestamp", "action_type", "action_data", "result_hash", "progress_key")
        and holds(
            dispatch.ProgressMetrics,
            *("files_read", "files_modified", "tests_run", "commands_executed", "last_progress"),
        )
    ),
    "PersonaMatcher": lambda: (
        takes(dispatch.PersonaMatcher.extract_persona_hint, "bead")
        and takes(dispatch.PersonaMatcher.find_agent_by_persona_hint, "hint", "agents")
    ),
    "AutoBugRouter": lambda: (
        takes(dispatch.AutoBugRouter.analyze_bug_for_routing, "bead")
        and holds(dispatch.BugRouteInfo, "should_route", "persona_hint", "updated_title", "routing_reason")
    ),
    "LessonsProvider": lambda: (
        takes(dispatch.LessonsProvider.get_lessons_for_prompt, "project_id")
        and takes(dispatch.LessonsProvider.get_relevant_lessons, "project_id", "task_context", "top_k")
        and takes(
            dispatch.LessonsProvider.record_lesson,
            *("project_id", "category", "title", "detail", "bead_id", "agent_id"),
        )
        and has(dispatch.LessonsProvider, "set_embedder")
        and takes(dispatch.Embedder.embed, "texts")
    ),
    "ErrorRecord": lambda: holds(dispatch.ErrorRecord, "timestamp", "error", "dispatch"),
}
"""The public names by what they stand for, each with what must be there of it."""


def guards() -> Any:
    return dispatch.Settings.model_fields["guards"].default


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_table_is_there(row: str) -> None:
    assert ROWS[row]()


def test_no_row_of_the_table_is_missing() -> None:
    specification = Path(__file__).parents[2] / "shared" / "SPEC.md"
    if not specification.exists():
        pytest.skip("the table of public names, ../shared/SPEC.md, is not beside the checkout")
    table = specification.read_text().partition("| Go | here |")[2].partition("\n## ")[0]
    rows = {re.split(r"[ (`,]", line)[2] for line in table.splitlines() if line.startswith("| `")}

    assert rows == set(ROWS)
