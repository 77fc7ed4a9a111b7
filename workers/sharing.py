"""Pushing a run's work where other hosts find it, before its outcome is reported."""

import socket
import time
from collections.abc import Callable

import structlog

from dispatch.errors import DispatchError
from dispatch.models.outcome import Failed
from dispatch.models.run import Run

PAUSES = (1.0, 5.0)
"""Seconds after each failed push; the run's lease is renewed meanwhile, and Celery's hard limit is a minute away."""

log = structlog.get_logger(__name__)


def share(push: Callable[[], None], run: Run) -> Failed | None:
    """Push, and again after a pause; return the failure of the run when that does not help, else None.

    The work then stays in the run's ref on this host, from where the next run here goes on.
    """
    for pause in (*PAUSES, None):
        try:
            push()
        except DispatchError as error:
            log.warning("the work of a run was not pushed", run_id=str(run.id), cause=str(error))
            if pause is None:
                kept = f"Its work is kept as refs/dispatch/runs/{run.id} on {socket.gethostname()}."
                return Failed(cause="push", summary=f"{error} {kept}")
            time.sleep(pause)
        else:
            break
    return None
