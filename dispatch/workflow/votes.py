"""What the runs of a node came to: the condition its edges ask for, and what reviewers said."""

from collections.abc import Sequence

from dispatch.models.outcome import Completed, Failed, Looped, Outcome, TimedOut
from dispatch.models.run import Run
from dispatch.models.workflow import Condition, Node, NodeKind, Quorum, Review, Verdict, Votes

MAX_SUMMARY = 2000
"""Characters of what a reviewer said that are kept."""


def condition_of(node: Node, runs: Sequence[Run], size: int) -> Condition | None:
    """Return what a step of `size` runs came to; None: it does not count, and is done again.

    `runs` are those that ended with an outcome: one that was taken back is not among them, nor did it vote.
    """
    if node.kind is NodeKind.VERIFY:
        return _decided(node.quorum, votes_of(runs), size) or _undecided([run.outcome for run in runs])
    return _undecided([run.outcome for run in runs]) or (Condition.SUCCESS if _all_completed(runs) else None)


def votes_of(runs: Sequence[Run]) -> Votes:
    """Count the verdicts of runs. One that completed without a verdict approves."""
    verdicts = [verdict_of(run.outcome) for run in runs]
    return Votes(
        approved=verdicts.count(Verdict.APPROVED),
        rejected=verdicts.count(Verdict.REJECTED),
        silent=verdicts.count(None),
    )


def verdict_of(outcome: Outcome | None) -> Verdict | None:
    """Return what a reviewer's outcome says of the work; None: nothing."""
    if not isinstance(outcome, Completed):
        return None
    return Verdict(outcome.verdict) if outcome.verdict else Verdict.APPROVED


def reviews_of(node: Node, runs: Sequence[Run]) -> tuple[Review, ...]:
    """Return what the runs of a node said of the work, each with its verdict."""
    if node.kind is not NodeKind.VERIFY:
        return ()
    return tuple(
        Review(
            node=node.name, by=run.agent_name or run.role, verdict=verdict, summary=run.outcome.summary[:MAX_SUMMARY]
        )
        for run in runs
        if run.outcome is not None and (verdict := verdict_of(run.outcome)) is not None
    )


def needed(quorum: Quorum, size: int) -> int:
    """Return how many of `size` runs must approve."""
    match quorum:
        case Quorum.MAJORITY:
            return size // 2 + 1
        case Quorum.ALL:
            return size
        case Quorum.ANY:
            return 1


def _decided(quorum: Quorum, votes: Votes, size: int) -> Condition | None:
    """Return what the votes decide, however the silent ones would have voted."""
    enough = needed(quorum, size)
    if votes.approved >= enough:
        return Condition.APPROVED
    return Condition.REJECTED if votes.rejected > size - enough else None


def _undecided(outcomes: Sequence[Outcome | None]) -> Condition | None:
    """Return how a step failed; None when no run of it did: some may have been lost, or ended from outside."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed | Looped | TimedOut)]
    if not failed:
        return None
    return Condition.TIMEOUT if all(isinstance(outcome, TimedOut) for outcome in failed) else Condition.FAILURE


def _all_completed(runs: Sequence[Run]) -> bool:
    return bool(runs) and all(isinstance(run.outcome, Completed) for run in runs)
