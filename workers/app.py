"""The Celery application of a deployment, for the stock commands: worker, beat, flower.

Importing this module reads the configuration and starts the embedded servers when they are the ones to use; nothing
but `celery -A workers` and the tasks import it.
"""

import logging
import sys

import structlog
from celery import Celery

from beat_schedule import beat_schedule
from dispatch.bus.celery import make_app
from dispatch.settings import load_settings
from dispatch.wiring import find_servers
from workers.event_batches import SendEventsInBatches
from workers.prefetch import TakeOnlyWhatRuns
from workers.process import use

TASK_MODULES = ("workers.tasks.runs", "workers.tasks.results", "workers.tasks.control", "workers.tasks.landing")


def build() -> Celery:
    """Return the application, configured from dispatch.toml and the environment."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each look at the schema
    settings = load_settings()
    addresses = find_servers(settings)
    application = make_app(settings, addresses.broker_url, addresses.result_backend_url)
    application.conf.imports = ("workers.signals", *TASK_MODULES)
    application.conf.beat_schedule = beat_schedule(settings.dispatch.tick_interval.total_seconds())
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # for beat; the embedded servers would have made it
    application.conf.beat_schedule_filename = str(settings.home / "celerybeat-schedule")
    application.conf.beat_max_loop_interval = min(5.0, settings.dispatch.tick_interval.total_seconds())
    application.steps["consumer"].update((TakeOnlyWhatRuns, SendEventsInBatches))
    use(settings, addresses, application)
    return application


app = build()
