"""Judges what an agent does while it does it, and has one that goes round in circles stopped. Source: SPEC, "Loops"."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from dispatch.loops import BeadHistory, LoopRule, judge_loop
from dispatch.models.identity import RunId
from dispatch.models.outcome import Looped, Outcome
from dispatch.models.run import ActionRecord
from dispatch.models.states import StopReason
from workers.runners import RunControl

log = structlog.get_logger(__name__)


class SteadyClock:
    """The time of day when it was made, and from there on as time passes: setting the host's clock does not move it.

    Nor does the time count that a laptop sleeps, where the system's monotonic clock leaves it out.
    """

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self._offset = time.monotonic()

    def __call__(self) -> datetime:
        return self._began + timedelta(seconds=time.monotonic() - self._offset)


class LoopWatch:
    """Watches one run. `past` are the last actions of the bead's runs before; for the thread that runs the agent."""

    def __init__(self, run_id: RunId, past: Sequence[ActionRecord], rule: LoopRule, control: RunControl) -> None:
        self._run_id = run_id
        self._history = BeadHistory.of(past)
        self._rule = rule
        self._control = control
        self._reason = ""

    def begin(self, at: datetime) -> None:
        """The agent is about to start: from here on it is counted."""
        self._history.begin_run(at)

    def take(self, action: ActionRecord) -> None:
        """Judge the next action; the agent is asked to stop by the first one that makes it a loop."""
        if self._reason:
            return
        self._history.add(action)
        stuck, self._reason = judge_loop(self._history, self._rule)
        if stuck:
            log.info("an agent goes round in circles and is stopped", run_id=str(self._run_id), reason=self._reason)
            self._control.ask_to_stop(StopReason.LOOP)

    def explain(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the reason in it, when this watch had the agent stopped."""
        return Looped(reason=self._reason) if isinstance(outcome, Looped) and self._reason else outcome
