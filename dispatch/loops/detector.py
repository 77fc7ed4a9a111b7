"""The loop detector of several beads: usable alone, with no database."""

import json
from collections import defaultdict
from datetime import datetime, timedelta

from dispatch.loops.history import BeadHistory, ProgressMetrics
from dispatch.loops.suggestions import suggest_next_steps
from dispatch.loops.verdict import PROGRESS_WINDOW, REPEAT_THRESHOLD, LoopRule, Verdict, judge_loop
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadKey
from dispatch.models.run import ActionRecord


class LoopDetector:
    """Tells agents that go round in circles from those that get on; for one thread at a time.

    A bead is stuck when it made no progress for `progress_window`, or over its last 12 actions, and its last actions
    are one action, or a cycle of up to 5, that came `repeat_threshold` times (never below 2) with the same results.
    Progress is an action with a result that the bead did not have before. Raises UsageError for a negative window.

    What it keeps of a bead is bounded (see `BeadHistory`) and stays until `reset_progress`.
    """

    def __init__(self, repeat_threshold: int = REPEAT_THRESHOLD, progress_window: timedelta = PROGRESS_WINDOW) -> None:
        self._rule = LoopRule(repeat_threshold, progress_window)
        self._histories: defaultdict[BeadKey, BeadHistory] = defaultdict(BeadHistory)

    def record_action(self, bead: Bead | BeadKey, action: ActionRecord) -> bool:
        """Take the next action of a bead; True when it is progress."""
        return self._histories[_key(bead)].add(action)

    def is_stuck_in_loop(self, bead: Bead | BeadKey, now: datetime | None = None) -> Verdict:
        """Return whether the bead is stuck, and why in one sentence (empty when it is not): `(stuck, reason)`.

        `now` is the moment of the bead's last action unless given: the time since then is nobody's standing still.
        """
        return judge_loop(self.history(bead), self._rule, now)

    def set_repeat_threshold(self, times: int) -> None:
        """Set how often a pattern has to come to be a loop; below 2 it is 2."""
        self._rule = LoopRule(times, self._rule.progress_window)

    def get_action_history_json(self, bead: Bead | BeadKey) -> str:
        """Return the bead's last 50 actions, oldest first, as a JSON list of objects."""
        return json.dumps([_as_json(action) for action in self.history(bead).recent], default=str)

    def get_progress_metrics(self, bead: Bead | BeadKey) -> ProgressMetrics:
        """Return how often the bead's agents did what, and when it last progressed."""
        return self.history(bead).metrics

    def get_progress_summary(self, bead: Bead | BeadKey) -> str:
        """Return the bead's progress in one sentence."""
        return str(self.history(bead).metrics)

    def get_agent_commit_range(self, bead: Bead | BeadKey) -> tuple[str, str, int]:
        """Return `(first, last, count)` of the commits among the bead's actions; `("", "", 0)` without any.

        They are actions of the type `commit` or `git_commit` with the commit as `sha` in their data.
        """
        return self.history(bead).commits

    def suggest_next_steps(self, bead: Bead | BeadKey) -> list[str]:
        """Return at least one sentence for a human: what was never tried, and what to supply so that it can be."""
        return suggest_next_steps(self.history(bead))

    def reset_progress(self, bead: Bead | BeadKey) -> None:
        """Forget all that the bead's agents did."""
        self._histories.pop(_key(bead), None)

    def history(self, bead: Bead | BeadKey) -> BeadHistory:
        """Return what is known of the bead; an empty history, which is not kept, when that is nothing."""
        return self._histories.get(_key(bead)) or BeadHistory()


def _key(bead: Bead | BeadKey) -> BeadKey:
    return bead.key if isinstance(bead, Bead) else bead


def _as_json(action: ActionRecord) -> dict[str, object]:
    return {
        "timestamp": action.timestamp.isoformat(),
        "agent_id": action.agent_id,
        "action_type": action.action_type,
        "action_data": action.action_data,
        "result_hash": action.result_hash,
        "progress_key": action.progress_key,
    }
