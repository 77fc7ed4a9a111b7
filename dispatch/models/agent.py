"""Agents and the worker incarnations they live in."""

from dataclasses import dataclass
from datetime import datetime

from dispatch.models.identity import AgentId, IncarnationId, RunId
from dispatch.models.states import AgentState

LOCAL_POOL = "local"
"""The pool of a worker that consumes no queue: a process that runs beads in itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A slot that works on one bead at a time: one pool process of a worker.

    `roles` are those of its worker, first one first; `persona` is a role plus its instructions and names the role
    unless the configuration says otherwise.
    """

    id: AgentId
    name: str
    roles: tuple[str, ...]
    persona: str = ""
    state: AgentState = AgentState.IDLE
    incarnation_id: IncarnationId | None = None
    run_id: RunId | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incarnation:
    """One start of a worker. `node` is the Celery node name; `agents` is the number of its pool processes.

    A worker that serves no role (a settler, a ticker, a lander) is registered too, with no agents, so that `status`
    and `doctor` can tell which queues have a consumer. While it has `trouble`, a sentence, it is given nothing.
    """

    id: IncarnationId
    node: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    roles: tuple[str, ...]
    agents: int
    pool: str = "prefork"
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    gone: bool = False
    trouble: str = ""
