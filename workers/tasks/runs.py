"""The header of a step's chord: one run."""

from typing import Any

from celery.exceptions import Ignore

from dispatch.bus.celery import RUN_TASK
from dispatch.models.messages import TaskMessage
from workers.app import app
from workers.execution import RunExecutor, StartRefusedError
from workers.process import identity, registry, system


@app.task(name=RUN_TASK)
def run(message: dict[str, Any]) -> str:
    """Do one run and return its id: a wake-up for the body, the outcome is in the database by then.

    A refused start, as of a duplicate, is ignored: a returned value would be stored as the task's and fire the body
    (PROTOCOL, rule 2).
    """
    executor = RunExecutor(
        system(),
        registry(),
        incarnation_id=lambda: identity.incarnation_id,
        stopping=lambda: identity.stopping,
        calls=lambda: identity.calls,
    )
    try:
        return str(executor.execute(TaskMessage.model_validate(message)))
    except StartRefusedError as refused:
        raise Ignore(str(refused)) from refused
