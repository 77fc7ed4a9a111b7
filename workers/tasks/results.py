"""The body of a step's chord, its errback, and housekeeping."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from dispatch.bus.celery import ERRBACK_TASK, HOUSEKEEPING_TASK, SETTLE_TASK
from dispatch.models.identity import RunId
from dispatch.results import announce_decisions
from workers.app import app
from workers.process import system
from workers.settling import settle_run

_LIMIT = 30
_HURRY = timedelta(seconds=15)


@app.task(name=SETTLE_TASK, ignore_result=True, time_limit=_LIMIT)
def settle(run_ids: Sequence[str]) -> None:
    """Settle the runs of a step. The ids are a wake-up: an outcome is only ever read from the database."""
    for run_id in run_ids:
        settle_run(system(), RunId(UUID(run_id)))


@app.task(name=ERRBACK_TASK, ignore_result=True, time_limit=_LIMIT)
def hurry(run_ids: Sequence[str]) -> None:
    """Shorten the leases of a step's runs: a header raised, or only the result backend blinked (PROTOCOL, rule 3)."""
    system().store.running.hurry([RunId(UUID(run_id)) for run_id in run_ids], within=_HURRY)


@app.task(name=HOUSEKEEPING_TASK, ignore_result=True, time_limit=_LIMIT)
def housekeeping() -> None:
    """Announce what waits, delete the conversations that are over, and make vectors that lessons lack.

    What hosts do for themselves, such as clearing worktrees away, every worker sees to (`workers.host_keeping`).
    """
    announce_decisions(system().store.decisions)
    system().store.sessions.delete_expired()
    system().lessons.refresh_vectors()
