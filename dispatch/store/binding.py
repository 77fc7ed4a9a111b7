"""Which agent works for which run: bound at the start, exchanged between runs, freed at the end.

Any worker on a role's queue may get a run's message (PROTOCOL, rule 8), so a run may start on another agent than the
one that was reserved for it. Locks are taken in the order run, worker, agent; several runs in the order of their ids.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, case, or_, select, update

from dispatch.models.identity import AgentId, IncarnationId, RunId
from dispatch.models.states import AgentEvent, AgentState, RunState
from dispatch.store import guard, history, records, schema
from dispatch.store.transaction import Transaction

_RUNS = schema.runs
_AGENTS = schema.agents


def lock_run(tx: Transaction, run_id: RunId) -> Row[Any] | None:
    """Lock and return a run."""
    return tx.connection.execute(select(_RUNS).where(_RUNS.c.id == run_id).with_for_update()).one_or_none()


def lock_runs_in_vain(tx: Transaction, run_id: RunId, worker_id: IncarnationId) -> Sequence[Row[Any]]:
    """Lock and return a run and those that hold an agent of the worker in vain.

    In vain: reserved for one that has not started, or working for one that has already reported (its pool process is
    free, which is why it took this message). Waiting for them lets a settle that is about to free an agent end first.
    """
    here = select(_AGENTS.c.id).where(_AGENTS.c.incarnation_id == worker_id, _AGENTS.c.state != AgentState.GONE)
    in_vain = _RUNS.c.agent_id.in_(here) & guard.within(_RUNS.c.state, [RunState.PENDING, RunState.REPORTED])
    statement = select(_RUNS).where(or_(_RUNS.c.id == run_id, in_vain)).order_by(_RUNS.c.id).with_for_update()
    return tx.connection.execute(statement).all()


def take_free_agent(tx: Transaction, run: Row[Any], worker_id: IncarnationId, *, wait: bool = True) -> Row[Any] | None:
    """Set an agent of the worker to work for a locked run: the reserved one if it is here, else an idle one.

    None: it has neither. `wait` is for an idle agent that somebody else looks at; else it is passed over.
    """
    if run.agent_id is not None:
        own = _set_to_work(tx, run.agent_id, worker_id)
        if own is not None:
            return own
    idle = tx.connection.execute(
        select(_AGENTS.c.id)
        .where(_AGENTS.c.incarnation_id == worker_id, guard.within(_AGENTS.c.state, [AgentState.IDLE]))
        .order_by(_AGENTS.c.id)
        .limit(1)
        .with_for_update(skip_locked=not wait)
    ).scalar()
    if idle is None:
        return None
    free_agent(tx, run.agent_id)
    return _set_to_work(tx, idle, worker_id)


def exchange_agent(
    tx: Transaction, run: Row[Any], in_vain: Sequence[Row[Any]], worker_id: IncarnationId
) -> Row[Any] | None:
    """Set an agent to work that another run holds in vain; the runs are locked. None: there is none after all."""
    agent = take_free_agent(tx, run, worker_id, wait=False)
    if agent is not None:
        return agent
    for other in in_vain:
        if other.id != run.id and other.state == RunState.PENDING:
            agent = _set_to_work(tx, other.agent_id, worker_id)
            if agent is not None:
                _swap(tx, run, other)
                return agent
    for other in in_vain:
        agent = _working(tx, other.agent_id, worker_id) if other.state == RunState.REPORTED else None
        if agent is not None:
            _rebind(tx, other, agent_id=None)
            free_agent(tx, run.agent_id)
            return agent
    return None


def release_agent(tx: Transaction, run: Row[Any]) -> None:
    """Take a run's agent from it, though the run has not ended, and free it."""
    if run.agent_id is not None:
        _rebind(tx, run, agent_id=None)
        free_agent(tx, run.agent_id)


def free_agent(tx: Transaction, agent_id: AgentId | UUID | None) -> None:
    """Give an agent back: idle, or gone with its incarnation."""
    if agent_id is None:
        return
    incarnations = schema.incarnations
    gone = tx.connection.execute(
        select(incarnations.c.gone)
        .join(_AGENTS, _AGENTS.c.incarnation_id == incarnations.c.id)
        .where(_AGENTS.c.id == agent_id)
    ).scalar()
    last_used_at = case((_AGENTS.c.state == AgentState.WORKING, tx.now()), else_=_AGENTS.c.last_used_at)
    guard.move(
        tx.connection,
        _AGENTS,
        AgentEvent.LEAVE if gone else AgentEvent.FREE,
        _AGENTS.c.id == agent_id,
        values={"last_used_at": last_used_at},
    )


def _set_to_work(tx: Transaction, agent_id: UUID, worker_id: IncarnationId) -> Row[Any] | None:
    return guard.move_one(
        tx.connection, _AGENTS, AgentEvent.WORK, _AGENTS.c.id == agent_id, _AGENTS.c.incarnation_id == worker_id
    )


def _working(tx: Transaction, agent_id: UUID | None, worker_id: IncarnationId) -> Row[Any] | None:
    return tx.connection.execute(
        select(_AGENTS)
        .where(
            _AGENTS.c.id == agent_id,
            _AGENTS.c.incarnation_id == worker_id,
            guard.within(_AGENTS.c.state, [AgentState.WORKING]),
        )
        .with_for_update()
    ).one_or_none()


def _swap(tx: Transaction, run: Row[Any], other: Row[Any]) -> None:
    """Give the other run what was reserved for this one. An agent has one open run at every moment of it."""
    tx.connection.execute(update(_RUNS).where(_RUNS.c.id == run.id).values(agent_id=None))
    _rebind(tx, other, agent_id=run.agent_id, agent_name=run.agent_name, incarnation_id=run.incarnation_id)


def _rebind(tx: Transaction, run: Row[Any], **values: Any) -> None:
    row = tx.connection.execute(update(_RUNS).where(_RUNS.c.id == run.id).values(**values).returning(*_RUNS.c)).one()
    history.add_run_event(tx, "run.rebound", records.run(row), was=str(run.agent_id))
