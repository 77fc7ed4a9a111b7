"""Whether a bead is stuck in a loop, in one sentence. Source: SPEC, "Loops"."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from dispatch.errors import UsageError
from dispatch.loops.history import BeadHistory, target, utc
from dispatch.loops.repetition import Cycle
from dispatch.models.run import ActionRecord
from dispatch.settings import format_duration

REPEAT_THRESHOLD = 3
MIN_REPEAT_THRESHOLD = 2
PROGRESS_WINDOW = timedelta(minutes=5)
QUIET_ACTIONS = 12
"""Actions without progress that count as much as a whole window without it."""
_MAX_NAME = 80
"""Characters of an action's name in a reason."""


@dataclass(frozen=True, slots=True)
class LoopRule:
    """When a repetition is a loop: at how many rounds (never below 2), and after how long without progress.

    Raises UsageError for a negative window.
    """

    repeat_threshold: int = REPEAT_THRESHOLD
    progress_window: timedelta = PROGRESS_WINDOW

    def __post_init__(self) -> None:
        if self.progress_window < timedelta():
            problem = f"progress_window is negative ({self.progress_window.total_seconds():g} s)"
            raise UsageError(problem=problem, cure="Give the time that an agent may go without progress")
        object.__setattr__(self, "repeat_threshold", max(MIN_REPEAT_THRESHOLD, self.repeat_threshold))


class Verdict(NamedTuple):
    """Whether a bead is stuck, and why; the reason is empty when it is not."""

    stuck: bool
    reason: str = ""


def judge_loop(history: BeadHistory, rule: LoopRule, now: datetime | None = None) -> Verdict:
    """Say whether a bead is stuck: it stands still and goes round in a cycle.

    `now` is the moment of the last action unless given: the time since then is nobody's standing still.
    """
    standstill = _standstill(history, rule.progress_window, now)
    cycle = history.cycle(rule.repeat_threshold)
    if not standstill or cycle is None:
        return Verdict(stuck=False)
    return Verdict(stuck=True, reason=f"It {_round(history, cycle)}, without progress {standstill}.")


def _standstill(history: BeadHistory, window: timedelta, now: datetime | None) -> str:
    """Return for how long there was no progress, empty when that is not long enough."""
    if history.quiet_actions >= QUIET_ACTIONS:
        return f"in the last {history.quiet_actions} actions"
    moment = history.last_moment if now is None else utc(now)
    if moment is None or history.quiet_since is None or moment - history.quiet_since < window:
        return ""
    return f"for {format_duration(timedelta(seconds=round((moment - history.quiet_since).total_seconds())))}"


def _round(history: BeadHistory, cycle: Cycle) -> str:
    names = [_name(action) for action in history.recent[-cycle.length :]]
    if cycle.length == 1:
        return f"did {names[0]} {cycle.times} times with the same result"
    return f"went {cycle.times} times through {', then '.join(names)}, each time with the same results"


def _name(action: ActionRecord) -> str:
    """Return an action in one short line, between backquotes."""
    words = " ".join(f"{action.action_type} {target(action)}".split()).replace("`", "'")
    return f"`{words}`" if len(words) <= _MAX_NAME else f"`{words[: _MAX_NAME - 3]}...`"
