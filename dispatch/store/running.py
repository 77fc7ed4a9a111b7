"""What a worker writes about the run it executes: start, renew, actions, report.

`start` gives out the token that fences every later write; a worker without the right one changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import TIMESTAMP, func, literal, select

from dispatch.models.bead import Bead
from dispatch.models.decision import Advice
from dispatch.models.identity import BeadKey, IncarnationId, RunId, StepId
from dispatch.models.memory import NO_MEMORIES, ToldMemories
from dispatch.models.messages import ResultMessage
from dispatch.models.outcome import OUTCOME
from dispatch.models.project import Project
from dispatch.models.run import ActionRecord, ErrorRecord, Run
from dispatch.models.session import Session
from dispatch.models.states import RunEvent, RunState, StepState, StopReason
from dispatch.models.workflow import Execution
from dispatch.store import (
    asking,
    beads,
    binding,
    guard,
    history,
    memories,
    progress,
    records,
    schema,
    sessions,
    starting,
    workflows,
)
from dispatch.store.engine import again_on_a_fresh_connection, retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.written import NOW, written

_RUNS = schema.runs
_START_LOOKS = 5
"""How often a start looks for an agent: one that was just freed is missed while a round looks at it."""
_BEAD_AND_PROJECT = written(
    f"""
SELECT runs.step_id, {starting.MATERIAL}
FROM runs
JOIN beads ON beads.project_id = runs.project_id AND beads.id = runs.bead_id
WHERE runs.id = :run
"""
)
_NOTE_PROCESS = written(
    """
UPDATE runs SET base_sha = :base, host = :host, boot_id = :boot, process_group = :process_group,
    process_started = :started
WHERE id = :run AND token = :token
"""
)
_NOTE_PROVIDER = written("UPDATE runs SET provider = :provider WHERE id = :run AND token = :token")
_REPORT = written(
    f"""
WITH reported AS (
    UPDATE runs SET state = {guard.target(_RUNS, RunEvent.REPORT)}, outcome = CAST(:outcome AS jsonb),
        base_sha = COALESCE(:base, base_sha), commit_sha = :commit, commit_first = :first_commit,
        commit_count = :commits, reported_at = {NOW},
        host = COALESCE(:host, host), boot_id = COALESCE(:boot, boot_id),
        process_group = COALESCE(:process_group, process_group),
        token = NULL, process_started = NULL
    WHERE id = :run AND token = :token AND state IN {guard.sources(_RUNS, RunEvent.REPORT)}
    RETURNING *
)
INSERT INTO events (at, kind, project_id, bead_id, run_id, data)
SELECT reported_at, 'run.reported', project_id, bead_id, id, jsonb_build_object(
    'attempt', attempt, 'role', role, 'agent', agent_id, 'outcome', CAST(:kind AS text), 'commit', commit_sha
)
FROM reported
RETURNING id
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """Everything a worker needs to begin: the run with its token, the bead, and what went before.

    `advice` is what humans said when they were asked about the bead, the newest last.
    `previous` is the bead's run before this one, if any: what it left on this host is to be ended and kept first.
    `past_actions` are the last ones of the runs before, oldest first: by them it is told what is new.
    `session` is the bead's conversation, `lessons` are Markdown, looked up by the worker if the project
    `has_lessons`, `execution` is where the bead is in its workflow.
    """

    run: Run
    token: UUID
    bead: Bead
    document: dict[str, Any]
    project: Project
    errors: tuple[ErrorRecord, ...]
    dependencies: tuple[Bead, ...]
    previous: Run | None
    past_actions: tuple[ActionRecord, ...] = ()
    advice: tuple[Advice, ...] = ()
    memories: ToldMemories = NO_MEMORIES
    session: Session | None = None
    has_lessons: bool = False
    lessons: str = ""
    execution: Execution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """The answer to a heartbeat: what the run is asked to do, if anything."""

    stop_reason: StopReason | None


class RunningRecords:
    """The store as an executing worker sees it."""

    def __init__(self, units: Units, lease: timedelta) -> None:
        self._units = units
        self._lease = lease

    def start(self, run_id: RunId, incarnation_id: IncarnationId) -> StartedRun | str:
        """Start a pending run on an agent of the worker that executes; a string says why it may not start.

        Any worker on the role's queue may have got the message, so the agent is bound here (PROTOCOL, rule 8).
        """
        started: StartedRun | str | None = again_on_a_fresh_connection(
            lambda: retrying(lambda: self._start_as_claimed(run_id, incarnation_id))
        )
        for _ in range(_START_LOOKS):
            started = (
                started
                or retrying(lambda: self._start(run_id, incarnation_id))
                or retrying(lambda: self._start_by_exchange(run_id, incarnation_id))
            )
        if started is not None:
            return started
        with self._units.begin() as tx:
            return self._refused(tx, run_id, binding.lock_run(tx, run_id), "the worker has no free agent")

    def _start_as_claimed(self, run_id: RunId, incarnation_id: IncarnationId) -> StartedRun | None:
        """Start on the reserved agent; None: it is not that simple.

        Where the worker needs more than bead and project it is read before: a read that fails has started nothing.
        """
        token = uuid4()
        with self._units.single() as tx:
            row, material = starting.start_at_once(tx, run_id, incarnation_id, token, self._lease)
            if row is not None:
                return StartedRun(run=records.run(row), token=token, **_material(tx, material))
            read = _read_material(tx, run_id)
            row = starting.start_as_claimed(tx, run_id, incarnation_id, token, self._lease)
        return StartedRun(run=records.run(row), token=token, **read) if row is not None else None

    def _start(self, run_id: RunId, incarnation_id: IncarnationId) -> StartedRun | str | None:
        """Start on the reserved or an idle agent; None: the worker has neither, though it took the message."""
        with self._units.begin() as tx:
            row = binding.lock_run(tx, run_id)
            refusal = self._refusal(tx, row, incarnation_id)
            if refusal is not None or row is None:
                return self._refused(tx, run_id, row, refusal or "it is unknown")
            agent = binding.take_free_agent(tx, row, incarnation_id)
            return self._started(tx, run_id, agent, incarnation_id) if agent is not None else None

    def _start_by_exchange(self, run_id: RunId, incarnation_id: IncarnationId) -> StartedRun | str | None:
        """Start on an agent that another run holds in vain; None: one that was freed meanwhile is being looked at."""
        with self._units.begin() as tx:
            rows = binding.lock_runs_in_vain(tx, run_id, incarnation_id)
            row = next((row for row in rows if row.id == run_id), None)
            refusal = self._refusal(tx, row, incarnation_id)
            if refusal is not None or row is None:
                return self._refused(tx, run_id, row, refusal or "it is unknown")
            agent = binding.exchange_agent(tx, row, rows, incarnation_id)
            return self._started(tx, run_id, agent, incarnation_id) if agent is not None else None

    def _refused(self, tx: Transaction, run_id: RunId, row: Any, refusal: str) -> str:
        bead = BeadKey.of(row.project_id, row.bead_id) if row is not None else None
        history.add_event(tx, "run.start_refused", bead=bead, run_id=run_id, reason=refusal)
        return refusal

    def _refusal(self, tx: Transaction, row: Any, incarnation_id: IncarnationId) -> str | None:
        if row is None:
            return "it is unknown"
        if row.state != RunState.PENDING:
            return f"it is {row.state}"
        if row.stop_reason is not None:
            return f"it was asked to stop ({row.stop_reason})"
        step = tx.connection.execute(select(schema.steps.c.state).where(schema.steps.c.id == row.step_id)).scalar()
        if step != StepState.OPEN:
            return "its step is closed"
        incarnations = schema.incarnations
        fresh = tx.connection.execute(
            select(incarnations.c.id)
            .where(
                incarnations.c.id == incarnation_id,
                ~incarnations.c.gone,
                ~incarnations.c.stopping,
                incarnations.c.heartbeat_at > tx.now() - self._lease,
            )
            .with_for_update(read=True)  # a handback that comes now waits, and then finds this run running
        ).scalar()
        return None if fresh else "its worker is stopping, or is not registered"

    def _started(self, tx: Transaction, run_id: RunId, agent: Any, incarnation_id: IncarnationId) -> StartedRun:
        token = uuid4()
        now = literal(tx.moment(), TIMESTAMP(timezone=True))
        row = guard.move_one(
            tx.connection,
            _RUNS,
            RunEvent.START,
            _RUNS.c.id == run_id,
            values={
                "token": token,
                "agent_id": agent.id,
                "agent_name": agent.name,
                "incarnation_id": incarnation_id,
                "started_at": now,
                "deadline_at": now + func.make_interval(0, 0, 0, 0, 0, 0, _RUNS.c.timeout_seconds),
                "lease_until": now + self._lease,
            },
        )
        run = records.run(row) if row is not None else None
        assert run is not None, "the row is locked and pending"
        history.add_run_event(tx, "run.started", run)
        return StartedRun(run=run, token=token, **_read_material(tx, run_id))

    def renew(self, run_id: RunId, token: UUID) -> Renewal | None:
        """Lengthen the lease; None: the run is no longer this worker's, end the agent."""
        with self._units.single() as tx:
            row = guard.move_one(
                tx.connection,
                _RUNS,
                RunEvent.RENEW,
                _RUNS.c.id == run_id,
                _RUNS.c.token == token,
                values={"lease_until": tx.now() + self._lease},
            )
        if row is None:
            return None
        return Renewal(stop_reason=StopReason(row.stop_reason) if row.stop_reason else None)

    def note_process(
        self,
        run_id: RunId,
        token: UUID,
        *,
        base_sha: str | None,
        host: str,
        boot_id: str,
        process_group: int,
        started: float,
    ) -> None:
        """Keep where the agent runs, for whoever has to end it when this worker cannot, and the commit it began at."""
        with self._units.single() as tx:
            tx.run(
                _NOTE_PROCESS,
                run=run_id,
                token=token,
                base=base_sha,
                host=host,
                boot=boot_id,
                process_group=process_group,
                started=started,
            )

    def note_provider(self, run_id: RunId, token: UUID, provider: str) -> None:
        """Keep which provider of models the run uses, where that is not the one it was claimed with; empty: none."""
        with self._units.single() as tx:
            tx.run(_NOTE_PROVIDER, run=run_id, token=token, provider=provider)

    def record_actions(self, run_id: RunId, actions: Sequence[ActionRecord]) -> None:
        """Keep a batch of actions."""
        with self._units.begin() as tx:
            history.add_actions(tx, run_id, actions)

    def report(
        self,
        message: ResultMessage,
        *,
        host: str | None = None,
        boot_id: str | None = None,
        process_group: int | None = None,
    ) -> bool:
        """Write the outcome; False when the run is not this worker's any more (PROTOCOL, rule 1).

        With it goes where the agent ran, of which `note_process` may not have told. Its processes have ended by then,
        so nobody has to end them any more.
        """
        with self._units.single() as tx:
            taken = tx.run_one(
                _REPORT,
                run=message.run_id,
                token=message.token,
                outcome=OUTCOME.dump_json(message.outcome).decode(),
                kind=message.outcome.kind,
                base=message.base_sha,
                commit=message.commit_sha,
                first_commit=message.commits.first or None,
                commits=message.commits.count,
                host=host,
                boot=boot_id,
                process_group=process_group,
                now=tx.given,
            )
            if taken is None:
                history.add_event(tx, "run.report_refused", run_id=message.run_id, outcome=message.outcome.kind)
        return taken is not None

    def hurry(self, run_ids: Sequence[RunId], within: timedelta) -> None:
        """Shorten the leases of running runs: something went wrong with their messages (PROTOCOL, rule 3)."""
        with self._units.begin() as tx:
            guard.move(
                tx.connection,
                _RUNS,
                RunEvent.HURRY,
                _RUNS.c.id.in_(list(run_ids)),
                values={"lease_until": func.least(_RUNS.c.lease_until, tx.now() + within)},
            )


def _read_material(tx: Transaction, run_id: RunId) -> dict[str, Any]:
    """Read what the worker needs besides the run itself."""
    row = tx.run_one(_BEAD_AND_PROJECT, run=run_id)
    return _material(tx, row) if row is not None else {}


def _material(tx: Transaction, row: Any) -> dict[str, Any]:
    """Return what the worker needs, and read what `starting.MORE_TO_READ` says there is beside bead and project."""
    bead = records.bead(row)
    return {
        "bead": bead,
        "document": records.document(row),
        "project": records.project_of(row.project),
        "errors": tuple(history.errors_of(tx, bead.key, limit=10)) if row.repeats else (),
        "dependencies": tuple(beads.targets_of(tx, bead.key)) if row.has_edges else (),
        "previous": _previous(tx, bead.key, StepId(row.step_id)) if row.repeats else None,
        "past_actions": tuple(progress.actions_before(tx, bead.key)) if row.repeats else (),
        "advice": tuple(asking.advice_for(tx, bead.key)) if row.has_advice else (),
        "memories": memories.told(tx, bead.project_id) if row.has_memory else NO_MEMORIES,
        "session": sessions.of_bead(tx, bead.key) if row.has_session else None,
        "has_lessons": row.has_lessons,
        "execution": workflows.execution_of(tx, bead.key) if row.has_workflow else None,
    }


def _previous(tx: Transaction, key: BeadKey, step_id: StepId) -> Run | None:
    row = tx.connection.execute(
        select(_RUNS)
        .where(
            _RUNS.c.project_id == key.project_id,
            _RUNS.c.bead_id == key.bead_id,
            _RUNS.c.started_at.is_not(None),
            _RUNS.c.step_id != step_id,
        )
        .order_by(_RUNS.c.started_at.desc())
        .limit(1)
    ).one_or_none()
    return records.run(row) if row is not None else None
