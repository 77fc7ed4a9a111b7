"""Calling an agent function, in the child process that the fork server made for it."""

import importlib
import inspect
import os
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ValidationError

from dispatch.models.messages import AGENT_EVENT, AgentEvent, AssignedBead, AssignedProject, Assignment, ResultEvent
from dispatch.models.outcome import OUTCOME, Cancelled, Completed, Failed, Lost, Outcome
from workers.runners.transcript import MAX_LINE, TAIL, storable, without_nulls

OUTCOME_PREFIX = b'{"outcome":'
"""Begins the line that carries the outcome; the lines before it are events."""
_MAX_SUMMARY = 500
_SAMPLE = Assignment(
    run_id=UUID(int=0),
    attempt=1,
    role="warm-up",
    timeout_seconds=1,
    workspace=Path("/"),
    project=AssignedProject(id="warm-up", target_branch="main"),
    bead=AssignedBead(id="warm-up", title="warm-up"),
).model_dump_json()

Emit = Callable[[AgentEvent | Mapping[str, Any]], None]
"""Tells whoever watches what the function does: an event of `dispatch.models.messages`, or a dict that makes one.

Raises pydantic's ValidationError for a dict that makes none, ValueError for a result event. Thread-safe.
"""


class AgentFunction(NamedTuple):
    """A function of the user, called with the assignment, and with `emit=` when it has a parameter of that name."""

    call: Callable[..., Any]
    takes_emit: bool


def load_function(target: str) -> AgentFunction:
    """Import `module:function`. Raises what the import raises, and TypeError for what cannot be called."""
    module_name, _, path = target.partition(":")
    found: Any = importlib.import_module(module_name)
    for name in path.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{target} is no function")
    try:
        parameters = inspect.signature(found).parameters
    except ValueError:  # one written in C that does not tell
        return AgentFunction(found, takes_emit=False)
    return AgentFunction(found, takes_emit="emit" in parameters)


def warm_up() -> None:
    """Go the way of a run once, so that a forked child copies the memory it needs before the run and not in it."""
    Assignment.model_validate_json(_SAMPLE)
    _outcome_line(_checked(None))
    _emitter(-1)


def perform(function: AgentFunction, assignment_file: Path, events: int) -> None:
    """Call the function and write its events and its outcome to the descriptor `events`."""
    outcome = _outcome(function, assignment_file, _emitter(events))
    line = _outcome_line(outcome)
    if len(line) > MAX_LINE:
        line = _outcome_line(Failed(cause="invalid outcome", summary=f"It takes {len(line)} bytes, over {MAX_LINE}."))
    _write(events, line)


def read_outcome(line: bytes) -> Outcome:
    """Return the outcome of a line that `perform` wrote."""
    return OUTCOME.validate_json(line[len(OUTCOME_PREFIX) : -1])


def _outcome_line(outcome: Outcome) -> bytes:
    return OUTCOME_PREFIX + OUTCOME.dump_json(outcome) + b"}\n"


def _outcome(function: AgentFunction, assignment_file: Path, emit: Emit) -> Outcome:
    try:
        assignment = Assignment.model_validate_json(assignment_file.read_bytes())
        answer = function.call(assignment, emit=emit) if function.takes_emit else function.call(assignment)
        return _checked(answer)
    except BaseException as error:  # noqa: BLE001 the border to foreign code: SystemExit is an answer like any other
        return Failed(
            cause=type(error).__name__,
            summary=storable(str(error))[:_MAX_SUMMARY],
            output=storable(traceback.format_exc())[-TAIL:],
        )


def _checked(answer: Any) -> Outcome:
    if answer is None:
        return Completed()
    try:
        fields = answer.model_dump() if isinstance(answer, BaseModel) else answer
        outcome = OUTCOME.validate_python(without_nulls(fields))
    except ValidationError as error:
        return Failed(cause="invalid outcome", summary=f"The function returned {answer!r:.200}.", output=str(error))
    if isinstance(outcome, Cancelled | Lost):
        return Failed(cause="invalid outcome", summary=f"{outcome.kind} is not for an agent to say.")
    return outcome


def _emitter(descriptor: int) -> Emit:
    lock = threading.Lock()

    def emit(event: AgentEvent | Mapping[str, Any]) -> None:
        valid = AGENT_EVENT.validate_python(event)
        if isinstance(valid, ResultEvent):
            raise ValueError("a function says its result by returning an outcome, not by an event")
        with lock:
            _write(descriptor, valid.model_dump_json().encode() + b"\n")

    return emit


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
