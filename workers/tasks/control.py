"""The tick, fired by beat, and the nudge, fired by whatever made work possible."""

from dispatch.bus.celery import NUDGE_TASK, TICK_TASK
from workers.app import app
from workers.process import system

_LIMIT = 20


@app.task(name=TICK_TASK, ignore_result=True, time_limit=_LIMIT)
def tick() -> int:
    """Rescue, then dispatch; return how many beads went."""
    return system().tick.run().dispatched


@app.task(name=NUDGE_TASK, ignore_result=True, time_limit=_LIMIT)
def nudge() -> int:
    """Dispatch what has become possible."""
    return system().tick.nudged()
