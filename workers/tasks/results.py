"""The body of a step's chord, its errback, and housekeeping."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from dispatch.bus.celery import ERRBACK_TASK, HOUSEKEEPING_TASK, SETTLE_TASK
from dispatch.models.identity import RunId
from workers.app import app
from workers.housekeeping import keep_house
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
    """Do what is due for the whole deployment every few minutes; each host keeps its own house."""
    keep_house(system())
