"""What a human does to the runs of a bead, of a project or of everything: cancel, go on, give to another role, stop.

Source: PROTOCOL, "States" and rule 14; SPEC, "Lifecycle".
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.decision import RulingEffect
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.run import NOTHING_STOPPED, StoppedRuns
from dispatch.models.states import OPEN_RUN_STATES, BeadStatus, RunState, StopReason
from dispatch.store import beads, guard, guarding, history, projects, ruling, schema, stopping, workflows
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units

_BEADS = schema.beads
_RUNS = schema.runs
_UNDER_WAY = (RunState.PENDING, RunState.RUNNING)


class ControlRecords:
    """Writes what a human wants of runs that are under way, and of beads that are held back."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def cancel(self, key: BeadKey, *, by: str, reason: str = "") -> StoppedRuns:
        """End the runs of a bead, and put it on hold until `let_go_on`.

        A pending run is taken back, a running agent asked to stop; its work so far is kept. Raises `NotFoundError`, and
        `RefusedError` when nothing is under way.
        """
        return retrying(lambda: self._cancel(key, by, reason))

    def _cancel(self, key: BeadKey, by: str, reason: str) -> StoppedRuns:
        told = f"cancelled by {by}: {reason}" if reason else f"cancelled by {by}"
        with self._units.begin() as tx:
            row = _locked(tx, key)
            stopped = stopping.stop_runs(tx, StopReason.CANCEL, f"It was {told}.", *_of(key))
            if not stopped:
                raise _nothing_runs(row, key, _open_states(tx, key))
            tx.connection.execute(
                _BEADS.update()
                .where(_BEADS.c.project_id == key.project_id, _BEADS.c.id == key.bead_id)
                .values(hold=told)
            )
            history.add_event(tx, "bead.held", bead=key, reason=told)
        return stopped

    def let_go_on(self, key: BeadKey, effect: RulingEffect, *, by: str, cancel: bool = False) -> StoppedRuns:
        """Take from a bead its hold, cooldown and failures, and give it what the effect says, such as another role.

        A bead under way is left alone unless it is on hold, and so about to come back; with `cancel` its runs end.
        Raises `NotFoundError`, and `RefusedError` for a bead that cannot go on like this.
        """
        return retrying(lambda: self._let_go_on(key, effect, by, cancel))

    def _let_go_on(self, key: BeadKey, effect: RulingEffect, by: str, cancel: bool) -> StoppedRuns:
        with self._units.begin() as tx:
            row = _locked(tx, key)
            under_way = _open_states(tx, key)
            if cancel or not (under_way and row.hold):
                _require_open(row, key, under_way, may_run=cancel)
            told = f"It goes to {effect.role} instead." if effect.role else "It begins again."
            stopped = stopping.stop_runs(tx, StopReason.CANCEL, told, *_of(key)) if cancel else NOTHING_STOPPED
            ruling.let_go_on(tx, row, effect, by)
            if row.node:
                workflows.renew(tx, key)
            history.add_event(tx, "bead.let_go_on", bead=key, by=by, role=effect.role)
        return stopped

    def hold_back(self, project_id: ProjectId | None, reason: str) -> None:
        """Pause a project, or everything, so that no run is claimed any more when this returns.

        A round that had begun before would not know of it: this waits for that. Raises `NotFoundError`, and
        `TickBusyError` when that takes too long.
        """
        with self._units.begin() as tx:
            tx.lock_tick()
            if project_id is None:
                guarding.pause(tx, True, reason)
            elif not projects.pause(tx, project_id, True, reason):
                raise NotFoundError(thing="project", name=project_id, cure="See `dispatch project list`.")

    def end_runs(self, project_id: ProjectId, told: str, *, running: bool) -> StoppedRuns:
        """Take back the pending runs of a project, and with `running` ask its running agents to stop."""
        return retrying(lambda: self._end_runs(project_id, told, running))

    def _end_runs(self, project_id: ProjectId, told: str, running: bool) -> StoppedRuns:
        mine = _RUNS.c.project_id == project_id
        with self._units.begin() as tx:
            tx.lock_project(project_id)
            if running:
                return stopping.stop_runs(tx, StopReason.STOP, told, mine)
            withdrawn = stopping.withdraw_pending(tx, told, mine)
            return StoppedRuns(withdrawn=withdrawn, running=stopping.count_running(tx, mine))

    def under_way(self, project_id: ProjectId | None = None) -> int:
        """Count the runs that are pending or running, of a project or of all."""
        mine = [_RUNS.c.project_id == project_id] if project_id is not None else []
        statement = select(func.count()).where(*mine, guard.within(_RUNS.c.state, _UNDER_WAY))
        with self._units.read() as tx:
            return int(tx.connection.execute(statement).scalar_one())


def _of(key: BeadKey) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _RUNS.c.project_id == key.project_id, _RUNS.c.bead_id == key.bead_id


def _locked(tx: Transaction, key: BeadKey) -> Any:
    tx.lock_project(key.project_id)
    row = beads.row_of(tx, key)
    if row is None:
        raise NotFoundError(thing="bead", name=str(key), cure="See `dispatch ready --all --project ID`.")
    return row


def _open_states(tx: Transaction, key: BeadKey) -> Sequence[str]:
    """Return the states of a bead's open runs."""
    statement = select(_RUNS.c.state).where(*_of(key), guard.within(_RUNS.c.state, OPEN_RUN_STATES))
    return tx.connection.execute(statement).scalars().all()


def _nothing_runs(row: Any, key: BeadKey, open_states: Sequence[str]) -> RefusedError:
    """Say why there is nothing to cancel."""
    look = f"`dispatch why {key}` says more."
    if row.hold:
        return RefusedError(problem=f"{key} is on hold: {row.hold}", cure=f"`dispatch retry {key}` lets it go on.")
    if open_states:
        return RefusedError(problem=f"The run of {key} has ended, and what it came to is being settled", cure=look)
    if row.status == BeadStatus.LANDING:
        return RefusedError(problem=f"No agent works on {key} any more: its work lands", cure=look)
    if row.status != BeadStatus.OPEN:
        return RefusedError(
            problem=f"{key} is {row.status}, and no run of ours holds it", cure="There is nothing to cancel."
        )
    return RefusedError(problem=f"Nothing runs for {key}", cure=look)


def _require_open(row: Any, key: BeadKey, open_states: Sequence[str], *, may_run: bool) -> None:
    """Raise `RefusedError` unless a bead is open, or under way where it `may_run`."""
    look = f"`dispatch why {key}` says more."
    if open_states and not may_run:
        cure = f"Let it end, or `dispatch cancel {key}` first."
        raise RefusedError(problem=f"An agent has {key} now ({', '.join(sorted(set(open_states)))})", cure=cure)
    if not open_states and row.status != BeadStatus.OPEN:
        raise RefusedError(problem=f"{key} is {row.status}", cure=look)
