"""A bare Celery application with the worker settings of dispatch: what the walk is measured against."""

import os
from typing import Any

from dispatch.bus.celery import make_app
from dispatch.settings import Settings, load_settings

settings: Settings = load_settings()
app = make_app(settings, os.environ["BARE_BROKER"], os.environ["BARE_BROKER"])


@app.task(name="bare.noop")
def noop(message: dict[str, Any]) -> str:
    return str(message["run_id"])


@app.task(name="bare.body", ignore_result=True)
def body(run_ids: list[str]) -> None:
    """Count that a chord has ended, where the benchmark waits for it."""
    app.backend.client.incr(f"{settings.key_prefix}:bare-done")
