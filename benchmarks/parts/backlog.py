"""Databases with many open beads, made by SQL, and what a tick needs besides: agents, and beads to replace those done.

Half of the beads ask for the role, half name none; nobody waits for anything. A second worker has a role that no bead
asks for.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from benchmarks.parts.configuration import PROJECT, ROLE
from dispatch.models.agent import Incarnation
from dispatch.models.identity import IncarnationId, uuid7
from dispatch.models.queues import role_queue
from dispatch.models.states import OPEN_RUN_STATES, AgentState, BeadStatus, RunState, StepState
from dispatch.store import Store, schema
from dispatch.version import VERSION

IDLE_ROLE: Final = "idle"

_ADD = text(
    """
INSERT INTO beads (project_id, id, title, status, priority, issue_type, created_at, role_hint, document)
SELECT :project, 'bench-' || n, 'Bead number ' || n, :open, n * 7919 % 5, 'task',
       timestamptz '2026-01-01 00:00+00' + n * interval '1 s', CASE n % 2 WHEN 0 THEN :role ELSE '' END,
       '{"id": "bench-' || n || '", "title": "Bead number ' || n || '", "description": "' || repeat('word ', 8)
       || '", "status": "open", "issue_type": "task"}'
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
"""
)
_CLOSE = text(
    """
UPDATE beads SET status = :closed, closed_at = clock_timestamp(), closed_by_us = true
FROM runs
WHERE runs.state = ANY (:open_states) AND beads.project_id = runs.project_id AND beads.id = runs.bead_id
"""
)
_SETTLE = text("UPDATE runs SET state = :settled, settled_at = clock_timestamp() WHERE state = ANY (:open_states)")
_JOIN = text("UPDATE steps SET state = :joined, joined_at = clock_timestamp() WHERE state = :open")
_SET_AGENTS = text(
    """
UPDATE agents SET state = CASE WHEN :role = ANY (incarnations.roles) THEN :state ELSE :other END
FROM incarnations WHERE incarnations.id = agents.incarnation_id
"""
)
_STEADY = text("UPDATE ticker SET last_tick_at = clock_timestamp(), steady_since = clock_timestamp() - interval '1 d'")


@dataclass(slots=True)
class Backlog:
    """A database with `size` open beads, and agents whose states are given before each tick."""

    store: Store
    size: int
    _last: int = 0

    @classmethod
    def make(cls, store: Store, size: int, *, agents: int) -> "Backlog":
        """Fill a fresh database."""
        store.projects.add(PROJECT, Path("/srv/bench"), "bench")
        for role in (ROLE, IDLE_ROLE):
            store.swarm.register(_worker(role, agents))
        made = cls(store, size)
        made._fill(size)
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM (ANALYZE)"))
            connection.execute(text("CHECKPOINT"))
            connection.execute(text("RESET statement_timeout"))
        return made

    def set_agents(self, *, role: AgentState, idle_role: AgentState) -> None:
        """Give all agents of each role a state, as after long steady ticking."""
        with self.store.engine.begin() as connection:
            connection.execute(_SET_AGENTS, {"role": ROLE, "state": role, "other": idle_role})
            connection.execute(_STEADY)

    def turn_over(self, count: int) -> None:
        """Close the beads that were dispatched, and add as many new ones, so that the backlog keeps its size."""
        open_states = sorted(OPEN_RUN_STATES)
        with self.store.engine.begin() as connection:
            connection.execute(_CLOSE, {"closed": BeadStatus.CLOSED, "open_states": open_states})
            connection.execute(_SETTLE, {"settled": RunState.SETTLED, "open_states": open_states})
            connection.execute(_JOIN, {"joined": StepState.JOINED, "open": StepState.OPEN})
            self._add(connection, count)

    def _fill(self, count: int) -> None:
        """Add many at once: indexes are made afterwards, and foreign keys, known to hold, not checked."""
        with self.store.engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for index in schema.beads.indexes:
                index.drop(connection)
            self._add(connection, count)
            for index in schema.beads.indexes:
                index.create(connection)

    def _add(self, connection: Connection, count: int) -> None:
        first, self._last = self._last + 1, self._last + count
        connection.execute(
            _ADD, {"project": PROJECT, "open": BeadStatus.OPEN, "role": ROLE, "first": first, "last": self._last}
        )


def _worker(role: str, agents: int) -> Incarnation:
    return Incarnation(
        id=IncarnationId(uuid7()),
        node=f"{role}@bench",
        host=socket.gethostname(),
        pid=1,
        version=VERSION,
        queues=(role_queue(role),),
        roles=(role,),
        agents=agents,
        pool="prefork",
    )
