"""The registry of workers and their agents."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, insert, literal, select, update

from dispatch.models.agent import Agent, Incarnation
from dispatch.models.identity import IncarnationId, uuid7
from dispatch.models.states import OPEN_RUN_STATES, AgentEvent, AgentState, StopReason
from dispatch.store import expiring, guard, history, records, schema, stopping
from dispatch.store.engine import retrying
from dispatch.store.units import Units

_INCARNATIONS = schema.incarnations
_AGENTS = schema.agents
_RUNS = schema.runs


class Swarm:
    """Who is there to work. Workers register themselves; a worker not heard of for `lease` does not count.

    A worker is named by what it registered as, or by that one's id.
    """

    def __init__(self, units: Units, lease: timedelta) -> None:
        self._units = units
        self._lease = lease

    def register(self, worker: Incarnation) -> None:
        """Make a worker known, with as many idle agents as it has pool processes. Repeating it changes nothing."""
        with self._units.begin() as tx:
            known = tx.connection.execute(
                select(_INCARNATIONS.c.id).where(_INCARNATIONS.c.id == worker.id).with_for_update()
            ).scalar()
            if known is not None:
                return
            tx.connection.execute(
                insert(_INCARNATIONS).values(
                    id=worker.id,
                    node=worker.node,
                    host=worker.host,
                    pid=worker.pid,
                    version=worker.version,
                    queues=list(worker.queues),
                    roles=list(worker.roles),
                    agents=worker.agents,
                    pool=worker.pool,
                    started_at=tx.now(),
                    heartbeat_at=tx.now(),
                    trouble=worker.trouble,
                )
            )
            rows = [
                {
                    "id": uuid7(),
                    "incarnation_id": worker.id,
                    "name": f"{worker.node}/{slot}",
                    "state": AgentState.IDLE,
                }
                for slot in range(1, worker.agents + 1)
            ]
            if rows:
                tx.connection.execute(insert(_AGENTS), rows)
            history.add_event(tx, "worker.registered", worker=worker.node, incarnation=str(worker.id))

    def heartbeat(self, worker: Incarnation | IncarnationId, trouble: str = "") -> bool:
        """Say that a worker lives; False when it was taken for gone and has to register as a new incarnation.

        While it has `trouble`, a sentence, its agents are given nothing.
        """
        with self._units.begin() as tx:
            row = tx.connection.execute(
                update(_INCARNATIONS)
                .where(_INCARNATIONS.c.id == _id_of(worker), ~_INCARNATIONS.c.gone)
                .values(heartbeat_at=tx.now(), trouble=trouble)
                .returning(_INCARNATIONS.c.id)
            ).one_or_none()
        return row is not None

    def stop_taking(self, worker: Incarnation | IncarnationId) -> int:
        """Begin a worker's shutdown: nothing starts there any more, running agents hand back; return their number."""
        return retrying(lambda: self._stop_taking(_id_of(worker)))

    def _stop_taking(self, worker_id: IncarnationId) -> int:
        with self._units.begin() as tx:
            tx.connection.execute(update(_INCARNATIONS).where(_INCARNATIONS.c.id == worker_id).values(stopping=True))
            return len(stopping.ask_to_stop(tx, StopReason.HANDBACK, _RUNS.c.incarnation_id == worker_id))

    def leave(self, worker: Incarnation | IncarnationId) -> None:
        """End a worker's membership; agents that still hold a run go when that is settled.

        Nobody works any more for a run that it has not reported by now, as after SIGQUIT: that is given back.
        """
        retrying(lambda: self._leave(_id_of(worker)))

    def _leave(self, worker_id: IncarnationId) -> None:
        held = guard.within(_RUNS.c.state, OPEN_RUN_STATES)
        busy = select(_RUNS.c.agent_id).where(_RUNS.c.agent_id.is_not(None), held)
        with self._units.begin() as tx:
            row = tx.connection.execute(
                update(_INCARNATIONS)
                .where(_INCARNATIONS.c.id == worker_id, ~_INCARNATIONS.c.gone)
                .values(gone=True, stopping=True)
                .returning(_INCARNATIONS.c.node)
            ).one_or_none()
            expiring.expire(tx, _RUNS.c.incarnation_id == worker_id)
            guard.move(
                tx.connection,
                _AGENTS,
                AgentEvent.LEAVE,
                _AGENTS.c.incarnation_id == worker_id,
                _AGENTS.c.id.not_in(busy),
            )
            if row is not None:
                history.add_event(tx, "worker.left", worker=row.node, incarnation=str(worker_id))

    def workers(self) -> list[Incarnation]:
        """Return the live workers, also those that serve no role."""
        with self._units.read() as tx:
            rows = tx.connection.execute(
                select(_INCARNATIONS)
                .where(~_INCARNATIONS.c.gone, _INCARNATIONS.c.heartbeat_at > tx.now() - self._lease)
                .order_by(_INCARNATIONS.c.node)
            )
            return [records.incarnation(row) for row in rows]

    def agents(self, role: str | None = None, idle: bool | None = None) -> list[Agent]:
        """Return the agents of live workers, least recently used first; of one role, or only idle or busy ones."""
        conditions: list[Any] = [_AGENTS.c.state != AgentState.GONE, ~_INCARNATIONS.c.gone]
        if role is not None:
            conditions.append(literal(role) == func.any(_INCARNATIONS.c.roles))
        if idle is not None:
            conditions.append((_AGENTS.c.state == AgentState.IDLE) == idle)
        with self._units.read() as tx:
            statement = (
                select(_AGENTS, _INCARNATIONS.c.roles, _RUNS.c.id.label("run_id"))
                .join(_INCARNATIONS, _INCARNATIONS.c.id == _AGENTS.c.incarnation_id)
                .outerjoin(_RUNS, (_RUNS.c.agent_id == _AGENTS.c.id) & guard.within(_RUNS.c.state, OPEN_RUN_STATES))
                .where(_INCARNATIONS.c.heartbeat_at > tx.now() - self._lease, *conditions)
                .order_by(_AGENTS.c.last_used_at.nulls_first(), _AGENTS.c.name)
            )
            return [records.agent_of(row, tuple(row.roles)) for row in tx.connection.execute(statement)]

    def roles_served(self) -> frozenset[str]:
        """Return the roles of all live workers, busy or not."""
        return frozenset(role for worker in self.workers() for role in worker.roles)

    def queues_served(self) -> frozenset[str]:
        """Return the queues that a live worker consumes."""
        return frozenset(queue for worker in self.workers() for queue in worker.queues)


def _id_of(worker: Incarnation | IncarnationId) -> IncarnationId:
    return worker.id if isinstance(worker, Incarnation) else worker
