"""One chaos run: faults while a deployment works, then its history is checked."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dispatch.models.event import Event
from tests.chaos.checker import check, tell
from tests.chaos.deployment import Deployment
from tests.chaos.faults import Hit, Saboteur
from tests.chaos.plan import Fault, Plan
from tests.chaos.recovery import percentile, times_to_run_again

_LOOK = 0.1
_SHORTEST_GAP = 0.5
"""Seconds between two faults, however fast the beads are."""
_VICTIM_WITHIN = 60.0
"""Seconds within which whatever was killed has to be there again."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Result:
    """What a run came to. `problems` are sentences; none means that all is well."""

    plan: Plan
    hits: list[Hit] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    seconds: float = 0.0
    tails: str = ""

    def figures(self) -> str:
        """Return the figures as a line of JSON."""
        times = times_to_run_again(self.events, self.hits)
        kinds = [event.kind for event in self.events]
        return json.dumps(
            {
                "seed": self.plan.seed,
                "beads": len(self.plan.work),
                "faults": len(self.hits),
                "seconds": round(self.seconds, 1),
                "problems": len(self.problems),
                "runs": kinds.count("run.claimed"),
                "outcomes": Counter(str(e.data["outcome"]) for e in self.events if e.kind == "run.settled"),
                "lost": kinds.count("run.expired"),
                "late_reports_refused": kinds.count("run.report_refused"),
                "run_again": len(times),
                "run_again_p50_seconds": _rounded(percentile(times, 0.5)),
                "run_again_p99_seconds": _rounded(percentile(times, 0.99)),
            }
        )

    def story(self) -> str:
        """Return what is needed to understand a run that went wrong, and to repeat it."""
        hits = "\n".join(map(str, self.hits))
        problems = "\n".join(self.problems)
        return f"seed {self.plan.seed}\n{self.figures()}\n\n{problems}\n\nfaults:\n{hits}\n\n{self.tails}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def run(plan: Plan, directory: Path, *, patience: float, gap: float, say: Say = lambda line: None) -> Result:
    """Do a chaos run in an empty directory; the beads have to be done within `patience` seconds.

    The faults are spread evenly over the beads, `gap` seconds apart at most.
    """
    began = time.monotonic()
    result = Result(plan)
    deployment = Deployment(directory, plan)
    try:
        _Run(deployment, result, patience, gap, say).go()
    finally:
        result.seconds = time.monotonic() - began
        if result.problems:
            result.tails = deployment.tails()
        deployment.purge()
    return result


def _blamed(events: Sequence[Event]) -> Iterator[str]:
    """No agent fails here of itself: a run that failed was blamed for what was done to the deployment."""
    failed = {event.run_id for event in events if event.kind == "run.settled" and event.data["outcome"] == "failed"}
    for event in events:
        if event.run_id in failed and event.kind == "bead.open":
            yield f"The bead {event.bead_id} was blamed for a fault: {tell(event)}"


class _Run:
    def __init__(self, deployment: Deployment, result: Result, patience: float, gap: float, say: Say) -> None:
        self._deployment = deployment
        self._result = result
        self._plan = result.plan
        self._deadline = time.monotonic() + patience
        self._gap = gap
        self._say = say
        self._saboteur = Saboteur(deployment, random.Random(self._plan.seed))
        self._last_fault = time.monotonic()
        self._victim_missed_since: float | None = None

    def go(self) -> None:
        self._deployment.start()
        try:
            self._work()
        finally:
            self._saboteur.thaw(everything=True)
        self._end()
        self._result.events = self._deployment.history()
        self._result.problems += map(str, check(self._result.events, self._plan.blockers))
        self._result.problems += _blamed(self._result.events)

    def _work(self) -> None:
        """Do the faults while the beads are worked on, and wait until all are closed."""
        faults = list(self._plan.faults)
        while (closed := self._deployment.closed()) != len(self._plan.work):
            if not self._deployment.is_up():
                self._result.problems.append("dispatch up ended by itself.")
                return
            if time.monotonic() >= self._deadline:
                self._result.problems.append(f"The beads took too long: {closed} are closed.")
                return
            self._saboteur.thaw()
            if faults and self._is_due(closed) and self._try(faults[0]):
                faults.pop(0)
            time.sleep(_LOOK)

    def _is_due(self, closed: int | None) -> bool:
        """Tell whether it is time for the next fault. The first one waits until something was done."""
        done, gap = len(self._result.hits), time.monotonic() - self._last_fault
        share = len(self._plan.work) * (done + 1) / (len(self._plan.faults) + 1)
        if done == 0 and not closed:
            return False
        return gap >= _SHORTEST_GAP and (gap >= self._gap or (closed is not None and closed >= share))

    def _try(self, fault: Fault) -> bool:
        """Do a fault; True when it is over with, also because its victim does not come back."""
        hit = self._saboteur.do(fault)
        now = time.monotonic()
        if hit is None:
            self._victim_missed_since = self._victim_missed_since or now
            if now - self._victim_missed_since < _VICTIM_WITHIN:
                return False
            self._result.problems.append(f"There was nobody left to do this to: {fault}.")
        else:
            self._result.hits.append(hit)
            self._say(str(hit))
        self._victim_missed_since, self._last_fault = None, now
        return True

    def _end(self) -> None:
        """End the deployment as its users do, and see that nothing of it is left but the servers."""
        if self._deployment.is_up():
            code = self._deployment.stop()
            if code != 0:
                self._result.problems.append(f"dispatch up ended with {code}.")
        left = self._deployment.left(servers=False)
        if left:
            self._result.problems.append("Processes were left: " + "; ".join(left))
