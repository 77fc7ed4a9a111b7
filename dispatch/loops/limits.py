"""How many runs a bead may have, and what it has to show for them. Source: SPEC, "Dispatch", steps 4 and 5."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dispatch.loops.history import BeadHistory
from dispatch.loops.verdict import LoopRule, Verdict, judge_loop
from dispatch.models.identity import AgentId
from dispatch.models.run import ActionRecord

MOST_TIMES_THE_LIMIT = 5
"""At so many times the hop limit a bead goes to a human whatever it does."""
PING_PONG_RUNS = 6
"""Runs in a row that alternate between two agents and are a loop."""


class JudgedRuns(NamedTuple):
    """What a bead's agents did over all its runs, and whether they are stuck."""

    history: BeadHistory
    verdict: Verdict


def judge_runs(before: Iterable[ActionRecord], last: Iterable[ActionRecord], rule: LoopRule) -> JudgedRuns:
    """Judge a bead over its runs: those `before`, and the `last` one.

    It is stuck when it goes round in a cycle, from run to run or within one, and when its last run got nowhere: a run
    that did only what was had before made no progress, nor did one that recorded nothing.
    """
    history = BeadHistory.of(before)
    progress = [history.add(action) for action in last]
    if not progress:
        return JudgedRuns(history, Verdict(stuck=True, reason="Its last run recorded no action."))
    verdict = judge_loop(history, rule)
    if not verdict.stuck and not any(progress):
        reason = "Its last run did nothing that had not been done before, with the same results."
        verdict = Verdict(stuck=True, reason=reason)
    return JudgedRuns(history, verdict)


def most_hops(limit: int, allowance: int = 0) -> int:
    """Return after how many runs a bead with this hop limit goes to a human although it makes progress.

    `allowance` is how many of its runs no longer count, since a human let it go on after them.
    """
    return MOST_TIMES_THE_LIMIT * limit + allowance


def near_limit(hops: int, limit: int, allowance: int = 0) -> tuple[str, ...]:
    """Return what a run is told when it starts after so many others: that it is near the limit, or over it.

    `allowance` is by how much the limit of the bead was raised.
    """
    number, most = hops + 1, most_hops(limit, allowance)
    limit += allowance
    if number >= most:
        return (f"This is run {number} of this bead, the last one: after it a human decides, unless it is completed.",)
    if number >= limit:
        return (
            f"This is run {number} of this bead; the limit is {limit}. Unless it is completed, it goes to a human now"
            f" if this run makes no progress, and after run {most} in any case. If something is in the way, say what.",
        )
    return ()


def is_ping_pong(agents: Sequence[AgentId | None]) -> bool:
    """Tell whether the last runs alternate between exactly two agents. One of which it is not known who had it ends it.

    `agents` had the bead's runs, oldest first.
    """
    last = agents[-PING_PONG_RUNS:]
    if len(last) < PING_PONG_RUNS or None in last:
        return False
    return len({*last[::2]}) == len({*last[1::2]}) == 1 and last[0] != last[1]
