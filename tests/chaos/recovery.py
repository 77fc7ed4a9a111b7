"""How long it takes from a kill until the beads that were being worked on are worked on again."""

import math
from collections.abc import Iterable, Sequence

from dispatch.models.event import Event
from tests.chaos.faults import Hit
from tests.chaos.plan import Fault

_KILLS = {Fault.KILL_WORKER, Fault.KILL_POOL_PROCESS}


def times_to_run_again(events: Sequence[Event], hits: Iterable[Hit]) -> list[float]:
    """Return the seconds from each kill to the next start of each bead that lost its run by it."""
    lost = {event.run_id: event for event in events if event.kind == "run.expired"}
    ended = [(hit.at, lost[run_id]) for hit in hits if hit.fault in _KILLS for run_id in hit.runs if run_id in lost]
    found = []
    for at, end in ended:
        again = (event for event in events if event.kind == "run.started" and event.bead_id == end.bead_id)
        following = next((event for event in again if event.id > end.id), None)
        if following is not None:
            found.append((following.at - at).total_seconds())
    return sorted(found)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest of the values that such a share of them does not exceed; None when there are none."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None
