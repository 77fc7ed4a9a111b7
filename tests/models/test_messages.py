"""What crosses a process border: versioned, validated, and exactly what was sent."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, ValidationError

from dispatch.models.messages import (
    AGENT_EVENT,
    ActionEvent,
    AssignedBead,
    AssignedProject,
    Assignment,
    FinishedDependency,
    PastError,
    ProgressEvent,
    ResultEvent,
    ResultMessage,
    TaskMessage,
    UsageEvent,
)
from dispatch.models.outcome import Completed

TASK = TaskMessage(
    run_id=uuid4(), step_id=uuid4(), project_id="shop", bead_id="shop-1", role="dev", attempt=1, timeout_seconds=1800
)
RESULT = ResultMessage(run_id=uuid4(), token=uuid4(), outcome=Completed(summary="Done."), commit_sha="a" * 40)
ASSIGNMENT = Assignment(
    run_id=uuid4(),
    attempt=2,
    role="dev",
    instructions="Be brief.",
    timeout_seconds=60,
    workspace=Path("/srv/work"),
    project=AssignedProject(id="shop", target_branch="main", test_command=("make", "test")),
    bead=AssignedBead(id="shop-1", title="Sell", labels=("web",), metadata={"size": [1, {"x": None}]}),
    dependencies=(FinishedDependency(id="shop-0", title="Build", status="closed", close_reason="Built."),),
    errors=(PastError(timestamp=datetime(2026, 9, 25, tzinfo=UTC), error="failed: tests", dispatch=1),),
)
MESSAGES = [TASK, RESULT, ASSIGNMENT]


def _name(message: BaseModel) -> str:
    return type(message).__name__


@pytest.mark.parametrize("message", MESSAGES, ids=_name)
def test_a_message_comes_back_from_json_as_it_went(message: BaseModel) -> None:
    assert type(message).model_validate_json(message.model_dump_json()) == message
    assert type(message).model_validate(message.model_dump(mode="json")) == message


@pytest.mark.parametrize("message", MESSAGES, ids=_name)
def test_a_field_that_nobody_knows_is_refused(message: BaseModel) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        type(message).model_validate({**message.model_dump(mode="json"), "surprise": 1})


@pytest.mark.parametrize("message", MESSAGES, ids=_name)
def test_a_message_says_its_version_and_another_is_refused(message: BaseModel) -> None:
    document = message.model_dump(mode="json")
    assert document["version"] == 1
    with pytest.raises(ValidationError, match="version"):
        type(message).model_validate({**document, "version": 2})


@pytest.mark.parametrize(
    ("field", "value"), [("attempt", 0), ("timeout_seconds", 0), ("run_id", "shop-1"), ("role", None)]
)
def test_a_task_that_cannot_be_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        TaskMessage.model_validate({**TASK.model_dump(mode="json"), field: value})


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TASK.role = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ('{"type": "progress", "message": "Half way."}', ProgressEvent(message="Half way.")),
        ('{"type": "usage", "tokens_in": 7, "usd": 0.5}', UsageEvent(tokens_in=7, usd=0.5)),
        (
            '{"type": "result", "outcome": "completed", "nothing_to_do": true}',
            ResultEvent(outcome="completed", nothing_to_do=True),
        ),
        (
            '{"type": "action", "action_type": "read", "action_data": {"path": "a"}, "mine": 1}',
            ActionEvent(action_type="read", action_data={"path": "a"}),
        ),
    ],
)
def test_a_line_of_an_agent_is_read_and_fields_of_its_own_are_ignored(line: str, event: BaseModel) -> None:
    assert AGENT_EVENT.validate_json(line) == event


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "thought"}',
        '{"message": "no type"}',
        '{"type": "action", "action_type": ""}',
        '{"type": "usage", "tokens_in": -1}',
        '{"type": "result", "outcome": "lost"}',
        "[]",
    ],
)
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        AGENT_EVENT.validate_json(line)
