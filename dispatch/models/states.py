"""The states of everything that has one, and the only moves between them.

Each table maps an event to the states it may happen in and the state it leads to. Every write of a state is guarded
by its row here: `store` makes the `WHERE state IN (...)` of the update from it. Source: PROTOCOL, "States".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    REPORTED = "reported"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"


OPEN_RUN_STATES = frozenset({RunState.PENDING, RunState.RUNNING, RunState.REPORTED})
"""A run in one of these holds its agent and its step."""


class RunEvent(StrEnum):
    PUBLISH = "publish"
    START = "start"
    WITHDRAW = "withdraw"
    RENEW = "renew"
    ASK_TO_STOP = "ask to stop"
    HURRY = "hurry"
    REPORT = "report"
    EXPIRE = "expire"
    SETTLE = "settle"


class StepState(StrEnum):
    OPEN = "open"
    JOINED = "joined"


class StepEvent(StrEnum):
    JOIN = "join"


class AgentState(StrEnum):
    IDLE = "idle"
    RESERVED = "reserved"
    WORKING = "working"
    GONE = "gone"


class AgentEvent(StrEnum):
    RESERVE = "reserve"
    WORK = "work"
    FREE = "free"
    LEAVE = "leave"


class BeadStatus(StrEnum):
    """The statuses with a meaning here. A tracker may bring others; they are kept, and never dispatched."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    LANDING = "landing"
    BLOCKED = "blocked"
    DEFERRED = "deferred"
    CLOSED = "closed"
    PINNED = "pinned"
    HOOKED = "hooked"
    TOMBSTONE = "tombstone"


class BeadEvent(StrEnum):
    CLAIM = "claim"
    RETURN = "return"
    AWAIT_LANDING = "await landing"
    FINISH = "finish"
    LAND = "land"
    BOUNCE = "bounce"
    ADOPT = "adopt"
    RELEASE = "release"
    """The end of a workflow at which no run was: its work lands."""
    CONCLUDE = "conclude"
    """The same where nothing is to land."""


class StopReason(StrEnum):
    """Why a running agent is asked to end; what its run then reports depends on it."""

    CANCEL = "cancel"
    STOP = "stop"
    """The whole system, or its project, is stopped."""
    CLOSED_BY_HAND = "closed by hand"
    DEADLINE = "deadline"
    HANDBACK = "handback"
    BUDGET = "budget"
    LOOP = "loop"


@dataclass(frozen=True, slots=True)
class Move:
    """An allowed transition: the states an event may happen in, and the state it leads to."""

    sources: frozenset[str]
    target: str


def _move(*sources: str, to: str) -> Move:
    return Move(frozenset(sources), to)


RUN_MOVES: Mapping[RunEvent, Move] = {
    RunEvent.PUBLISH: _move(RunState.PENDING, to=RunState.PENDING),
    RunEvent.START: _move(RunState.PENDING, to=RunState.RUNNING),
    RunEvent.WITHDRAW: _move(RunState.PENDING, to=RunState.WITHDRAWN),
    RunEvent.RENEW: _move(RunState.RUNNING, to=RunState.RUNNING),
    RunEvent.ASK_TO_STOP: _move(RunState.RUNNING, to=RunState.RUNNING),
    RunEvent.HURRY: _move(RunState.RUNNING, to=RunState.RUNNING),
    RunEvent.REPORT: _move(RunState.RUNNING, to=RunState.REPORTED),
    RunEvent.EXPIRE: _move(RunState.RUNNING, to=RunState.REPORTED),
    RunEvent.SETTLE: _move(RunState.REPORTED, to=RunState.SETTLED),
}

STEP_MOVES: Mapping[StepEvent, Move] = {StepEvent.JOIN: _move(StepState.OPEN, to=StepState.JOINED)}

AGENT_MOVES: Mapping[AgentEvent, Move] = {
    AgentEvent.RESERVE: _move(AgentState.IDLE, to=AgentState.RESERVED),
    AgentEvent.WORK: _move(AgentState.IDLE, AgentState.RESERVED, to=AgentState.WORKING),
    AgentEvent.FREE: _move(AgentState.RESERVED, AgentState.WORKING, to=AgentState.IDLE),
    AgentEvent.LEAVE: _move(AgentState.IDLE, AgentState.RESERVED, AgentState.WORKING, to=AgentState.GONE),
}

BEAD_MOVES: Mapping[BeadEvent, Move] = {
    BeadEvent.CLAIM: _move(BeadStatus.OPEN, to=BeadStatus.IN_PROGRESS),
    BeadEvent.RETURN: _move(BeadStatus.IN_PROGRESS, to=BeadStatus.OPEN),
    BeadEvent.AWAIT_LANDING: _move(BeadStatus.IN_PROGRESS, to=BeadStatus.LANDING),
    BeadEvent.FINISH: _move(BeadStatus.IN_PROGRESS, to=BeadStatus.CLOSED),
    BeadEvent.LAND: _move(BeadStatus.LANDING, to=BeadStatus.CLOSED),
    BeadEvent.BOUNCE: _move(BeadStatus.LANDING, to=BeadStatus.OPEN),
    BeadEvent.RELEASE: _move(BeadStatus.OPEN, to=BeadStatus.LANDING),
    BeadEvent.CONCLUDE: _move(BeadStatus.OPEN, to=BeadStatus.CLOSED),
    BeadEvent.ADOPT: _move(BeadStatus.IN_PROGRESS, BeadStatus.HOOKED, to=BeadStatus.OPEN),
}
