"""What each outcome means for its bead: one `match`, no I/O. Source: PROTOCOL, "States"; SPEC, "Runs"."""

from dataclasses import replace

from dispatch.escalation import asked, asked_by_workflow, declined
from dispatch.lessons import has_overcome
from dispatch.models.bead import Bead
from dispatch.models.landing import AlreadyLanded, Conflict, DecidedLanding, Declined, Landed, RedTests
from dispatch.models.outcome import (
    Cancelled,
    Completed,
    Failed,
    Looped,
    Lost,
    NeedsInput,
    Outcome,
    TimedOut,
)
from dispatch.models.progress import CommitRange
from dispatch.models.run import Run
from dispatch.models.settling import BeadEffect, JoinedStep, LookBack, Past
from dispatch.models.states import BeadEvent
from dispatch.models.workflow import Condition, Execution, WorkflowMove
from dispatch.results.going_on import failed, finished, returned, sent_back
from dispatch.results.limits import hold_to_limits
from dispatch.settings import Settings
from dispatch.workflow.moving import advance, bounce
from dispatch.workflow.votes import condition_of, reviews_of, votes_of


def judge(joined: JoinedStep, settings: Settings) -> BeadEffect | LookBack:
    """Decide what the end of a step does to its bead; a `LookBack` when that takes its past, and it is not there."""
    execution = joined.execution
    in_workflow = execution is not None and execution.current is not None
    effect = _judge_node(joined, execution, settings) if in_workflow and execution else _judge_outcome(joined, settings)
    effect = replace(effect, commits=_commits_of(joined), overcame=has_overcome(joined.bead, effect))
    return hold_to_limits(joined.bead, effect, joined.past, settings)


def _judge_node(joined: JoinedStep, execution: Execution, settings: Settings) -> BeadEffect:
    """Decide by the workflow what the end of a step does: the outcome says which edge is taken."""
    node = execution.current
    assert node is not None, "a bead in a workflow was asked about"
    condition = condition_of(node, joined.runs, joined.size)
    if condition is None or any(isinstance(run.outcome, NeedsInput) for run in joined.runs):
        return _judge_outcome(joined, settings)
    votes = votes_of(joined.runs) if joined.size > 1 or reviews_of(node, joined.runs) else None
    move = advance(execution, condition, reviews=reviews_of(node, joined.runs), votes=votes)
    effect = replace(_effect_of(joined, move, settings), workflow=move)
    asks = asked_by_workflow(joined.bead, move.applied_to(execution), move.escalates)
    return replace(effect, escalation=effect.escalation or asks)


def _effect_of(joined: JoinedStep, move: WorkflowMove, settings: Settings) -> BeadEffect:
    bead, moved_to, run = joined.bead, _work_of(joined), _telling(joined)
    outcome = run.outcome
    assert outcome is not None, "a joined run has an outcome"
    if move.condition in (Condition.FAILURE, Condition.TIMEOUT):
        return failed(bead, run, moved_to, settings)
    if move.is_through:
        return finished(bead, moved_to, settings, reason=outcome.summary)
    voted = f" ({move.votes})" if move.votes is not None else ""
    told = f"Its node {move.source} came to {move.condition}{voted}; it goes on at {move.target}."
    return replace(returned(bead, told, moved_to), hops=1, failures=0)


def _judge_outcome(joined: JoinedStep, settings: Settings) -> BeadEffect:
    run = _telling(joined)
    outcome = run.outcome
    assert outcome is not None, "a joined run has an outcome"
    moved_to = _work_of(joined)
    match outcome:
        case Completed():
            reason = outcome.summary or ("" if moved_to or joined.bead.head_sha else "Nothing needed doing.")
            return finished(joined.bead, moved_to, settings, reason=reason)
        case Failed() | TimedOut() | Looped():
            return failed(joined.bead, run, moved_to, settings)
        case NeedsInput(question=question):
            escalation = asked(joined.bead, question)
            return returned(joined.bead, f"Its agent asks: {question}", moved_to, escalation)
        case Cancelled(cause=cause):
            return returned(joined.bead, f"Its run was ended: {cause}.", moved_to)
        case Lost():
            return returned(joined.bead, "Its run was lost with its worker.", moved_to)


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


def judge_landing(
    bead: Bead,
    result: DecidedLanding,
    settings: Settings,
    past: Past | None = None,
    execution: Execution | None = None,
) -> BeadEffect | LookBack:
    """Decide what a landing does to its bead; a `LookBack` when that takes its past, and it is not there.

    `execution` is where the bead is in its workflow, if it is in one.
    """
    effect = _judge_landing(bead, result, settings)
    if effect.event is BeadEvent.BOUNCE and execution is not None and execution.ended_at is None:
        effect = replace(effect, workflow=bounce(execution))
    return hold_to_limits(bead, replace(effect, overcame=has_overcome(bead, effect)), past, settings)


def judge_through(bead: Bead, settings: Settings) -> BeadEffect:
    """Decide what the end of a workflow does to a bead that no run holds, as after a human's approval."""
    effect = finished(bead, None, settings, reason="Its workflow is through.")
    event = BeadEvent.RELEASE if effect.event is BeadEvent.AWAIT_LANDING else BeadEvent.CONCLUDE
    return replace(effect, event=event, hops=0)


def _judge_landing(bead: Bead, result: DecidedLanding, settings: Settings) -> BeadEffect:
    branch = settings.project(bead.project_id).target_branch
    match result:
        case Landed(sha=sha) | AlreadyLanded(sha=sha):
            reason = f"Landed on {branch} as {sha[:12]}."
            return BeadEffect(event=BeadEvent.LAND, reason=reason, head_sha=sha, close_reason=reason)
        case Conflict(output=output):
            error = f"landing: the work conflicts with {branch}; rebase onto it and resolve\n{output}"
            return sent_back(bead, BeadEvent.BOUNCE, error, settings)
        case RedTests(output=output, exit_code=code):
            how = f"exit {code}" if code is not None else "they did not end in time"
            error = f"landing: the project's tests fail on top of {branch} ({how})\n{output}"
            return sent_back(bead, BeadEvent.BOUNCE, error, settings)
        case Declined(pull_request=closed):
            error = f"landing: its pull request {closed.url or closed.branch} was closed without a merge"
            escalation = declined(bead, closed.branch, closed.url)
            return BeadEffect(
                event=BeadEvent.BOUNCE, reason=error, failures=bead.failures, error=error, escalation=escalation
            )
