"""What a bead goes on with after a step or a landing: the effects that several ends have in common."""

from datetime import timedelta

from dispatch.escalation import worn_out
from dispatch.models.bead import Bead
from dispatch.models.outcome import counts_as_hop, error_text
from dispatch.models.provider import trouble_of
from dispatch.models.run import Run
from dispatch.models.settling import BeadEffect, Escalation
from dispatch.models.states import BeadEvent
from dispatch.settings import Landing, Settings


def finished(bead: Bead, moved_to: str | None, settings: Settings, *, reason: str) -> BeadEffect:
    """The work is done: it lands where there is any and the project lands it, else the bead is closed."""
    work = moved_to or bead.head_sha
    reason = reason or "The work is done."
    if work is not None and settings.project(bead.project_id).landing is not Landing.NONE:
        return BeadEffect(
            event=BeadEvent.AWAIT_LANDING, reason=reason, head_sha=moved_to, hops=1, failures=bead.failures
        )
    return BeadEffect(event=BeadEvent.FINISH, reason=reason, head_sha=moved_to, close_reason=reason, hops=1, failures=0)


def failed(bead: Bead, run: Run, moved_to: str | None, settings: Settings) -> BeadEffect:
    """A run failed: the bead goes back, and cools down.

    The fault of its provider takes the bead to the next one, but never to a human: nothing is wrong with the bead.
    """
    outcome = run.outcome
    assert outcome is not None, "a joined run has an outcome"
    error = error_text(outcome) or outcome.kind
    if trouble_of(run) is None:
        hops = 1 if counts_as_hop(outcome) else 0
        return sent_back(bead, BeadEvent.RETURN, error, settings, head_sha=moved_to, hops=hops)
    failures = min(bead.failures + 1, settings.guards.max_failures - 1)
    wait = cooldown(bead.failures + 1, settings)
    reason = error.splitlines()[0]
    return BeadEffect(
        event=BeadEvent.RETURN, reason=reason, head_sha=moved_to, failures=failures, cooldown=wait, error=error
    )


def returned(bead: Bead, reason: str, moved_to: str | None, escalation: Escalation | None = None) -> BeadEffect:
    """The bead goes on as it was: its run is neither a success nor a failure."""
    return BeadEffect(
        event=BeadEvent.RETURN, reason=reason, head_sha=moved_to, failures=bead.failures, escalation=escalation
    )


def sent_back(
    bead: Bead, event: BeadEvent, error: str, settings: Settings, *, head_sha: str | None = None, hops: int = 0
) -> BeadEffect:
    """The bead goes back with an error, and cools down; after so many in a row a human is asked."""
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
