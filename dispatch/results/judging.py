"""What each outcome means for its bead: one `match`, no I/O. Source: PROTOCOL, "States"; SPEC, "Runs"."""

from dataclasses import replace
from datetime import timedelta

from dispatch.escalation import asked, worn_out
from dispatch.models.bead import Bead
from dispatch.models.landing import AlreadyLanded, Conflict, DecidedLanding, Landed, RedTests
from dispatch.models.outcome import (
    Cancelled,
    Completed,
    Failed,
    Looped,
    Lost,
    NeedsInput,
    Outcome,
    TimedOut,
    counts_as_hop,
    error_text,
)
from dispatch.models.progress import CommitRange
from dispatch.models.run import Run
from dispatch.models.settling import BeadEffect, Escalation, JoinedStep, LookBack, Past
from dispatch.models.states import BeadEvent
from dispatch.results.limits import hold_to_limits
from dispatch.settings import Landing, Settings


def judge(joined: JoinedStep, settings: Settings) -> BeadEffect | LookBack:
    """Decide what the end of a step does to its bead; a `LookBack` when that takes its past, and it is not there."""
    effect = replace(_judge_outcome(joined, settings), commits=_commits_of(joined))
    return hold_to_limits(joined.bead, effect, joined.past, settings)


def _judge_outcome(joined: JoinedStep, settings: Settings) -> BeadEffect:
    run = _telling(joined)
    outcome = run.outcome
    assert outcome is not None, "a joined run has an outcome"
    moved_to = _work_of(joined)
    match outcome:
        case Completed():
            return _completed(joined.bead, run, outcome, moved_to, settings)
        case Failed() | TimedOut() | Looped():
            return _failed(joined.bead, outcome, moved_to, settings)
        case NeedsInput(question=question):
            escalation = asked(joined.bead, question)
            return _returned(joined.bead, f"Its agent asks: {question}", moved_to, escalation)
        case Cancelled(cause=cause):
            return _returned(joined.bead, f"Its run was ended: {cause}.", moved_to)
        case Lost():
            return _returned(joined.bead, "Its run was lost with its worker.", moved_to)


def _work_of(joined: JoinedStep) -> str | None:
    """Return the commit of the run that writes the branch, whatever the others say of it; None: it moved nothing."""
    writer = _writer(joined)
    return writer.commit_sha if writer is not None and writer.commit_sha != writer.base_sha else None


def _commits_of(joined: JoinedStep) -> CommitRange | None:
    """Return the commits of the bead's work, as the run that writes the branch counted them; None: it did not."""
    writer = _writer(joined)
    return writer.commits if writer is not None and writer.commits.count else None


def _writer(joined: JoinedStep) -> Run | None:
    return next((run for run in joined.runs if run.writes_branch), None)


def _telling(joined: JoinedStep) -> Run:
    """Return the run that speaks for its step: the worst outcome, and among equals the one that writes the branch."""

    def weight(run: Run) -> tuple[int, bool, int]:
        return _severity(run.outcome), not run.writes_branch, run.index

    return min(joined.runs, key=weight)


def _severity(outcome: Outcome | None) -> int:
    match outcome:
        case Failed() | TimedOut() | Looped():
            return 0
        case NeedsInput():
            return 1
        case Lost() | Cancelled():
            return 2
        case _:
            return 3


def _completed(bead: Bead, run: Run, outcome: Completed, moved_to: str | None, settings: Settings) -> BeadEffect:
    work = moved_to or bead.head_sha
    lands = work is not None and settings.project(bead.project_id).landing is Landing.MERGE
    if lands:
        return BeadEffect(
            event=BeadEvent.AWAIT_LANDING,
            reason=outcome.summary or "The work is done.",
            head_sha=moved_to,
            hops=1,
            failures=bead.failures,
        )
    reason = outcome.summary or ("Nothing needed doing." if moved_to is None else "The work is done.")
    return BeadEffect(event=BeadEvent.FINISH, reason=reason, head_sha=moved_to, close_reason=reason, hops=1, failures=0)


def _failed(bead: Bead, outcome: Outcome, moved_to: str | None, settings: Settings) -> BeadEffect:
    error = error_text(outcome) or outcome.kind
    return _sent_back(
        bead, BeadEvent.RETURN, error, settings, head_sha=moved_to, hops=1 if counts_as_hop(outcome) else 0
    )


def _returned(bead: Bead, reason: str, moved_to: str | None, escalation: Escalation | None = None) -> BeadEffect:
    return BeadEffect(
        event=BeadEvent.RETURN, reason=reason, head_sha=moved_to, failures=bead.failures, escalation=escalation
    )


def _sent_back(
    bead: Bead, event: BeadEvent, error: str, settings: Settings, *, head_sha: str | None = None, hops: int = 0
) -> BeadEffect:
    failures = bead.failures + 1
    spent = failures >= settings.guards.max_failures
    return BeadEffect(
        event=event,
        reason=error.splitlines()[0],
        head_sha=head_sha,
        hops=hops,
        failures=0 if spent else failures,
        cooldown=cooldown(failures, settings),
        error=error,
        escalation=worn_out(bead, failures, error) if spent else None,
    )


def cooldown(failures: int, settings: Settings) -> timedelta:
    """Return how long a bead waits after its n-th failure in a row: first x 2^(n-1), at most the longest."""
    first, longest = settings.guards.cooldown
    doubled: timedelta = first * (1 << min(failures - 1, 30))
    return min(doubled, longest)


def judge_landing(
    bead: Bead, result: DecidedLanding, settings: Settings, past: Past | None = None
) -> BeadEffect | LookBack:
    """Decide what a landing does to its bead; a `LookBack` when that takes its past, and it is not there."""
    return hold_to_limits(bead, _judge_landing(bead, result, settings), past, settings)


def _judge_landing(bead: Bead, result: DecidedLanding, settings: Settings) -> BeadEffect:
    branch = settings.project(bead.project_id).target_branch
    match result:
        case Landed(sha=sha) | AlreadyLanded(sha=sha):
            reason = f"Landed on {branch} as {sha[:12]}."
            return BeadEffect(event=BeadEvent.LAND, reason=reason, head_sha=sha, close_reason=reason)
        case Conflict(output=output):
            error = f"landing: the work conflicts with {branch}; rebase onto it and resolve\n{output}"
            return _sent_back(bead, BeadEvent.BOUNCE, error, settings)
        case RedTests(output=output, exit_code=code):
            how = f"exit {code}" if code is not None else "they did not end in time"
            error = f"landing: the project's tests fail on top of {branch} ({how})\n{output}"
            return _sent_back(bead, BeadEvent.BOUNCE, error, settings)
