"""Why a bead goes to a human, in words. Source: SPEC, "Escalation and decisions"."""

from dispatch.models.bead import Bead
from dispatch.models.decision import EscalationKind
from dispatch.models.settling import Escalation
from dispatch.models.workflow import Execution, Node, NodeKind


def worn_out(bead: Bead, failures: int, last_error: str) -> Escalation:
    """A bead that failed too often in a row."""
    reason = f"{failures} runs in a row failed"
    return _about(bead, EscalationKind.FAILED, reason, told=f"The last error was:\n\n{last_error}")


def looping(bead: Bead, runs: int, why: str) -> Escalation:
    """A bead that had as many runs as it may have, and made no progress."""
    return _about(bead, EscalationKind.LOOPING, f"no progress after {runs} runs", detail=why)


def too_many_runs(bead: Bead, runs: int, limit: int) -> Escalation:
    """A bead that had far more runs than it may have, although it made progress."""
    why = f"It made progress again and again, but its limit was {limit} runs."
    return _about(bead, EscalationKind.LIMIT, f"{runs} runs without an end", detail=why)


def ping_pong(bead: Bead) -> Escalation:
    """A bead that two agents passed to and fro, and again after it had been at triage."""
    why = "It was at triage because of that, and then it went to and fro again."
    return _about(bead, EscalationKind.PING_PONG, "two agents pass it to and fro", detail=why)


def asked(bead: Bead, question: str) -> Escalation:
    """A bead whose agent asks a human."""
    first_line = next((line.strip() for line in question.splitlines() if line.strip()), "its agent asks")
    return Escalation(
        kind=EscalationKind.QUESTION,
        reason="its agent asks",
        title=f"Answer {bead.id}: {first_line}",
        body=question,
        question=question,
        returned_to=bead.wanted_role or None,
    )


def settle_broken(bead: Bead, run: str, cause: str) -> Escalation:
    """A bead whose finished run could not be settled."""
    detail = f"Settling run {run} failed again and again. The last cause was:\n{cause}"
    return Escalation(
        kind=EscalationKind.UNSETTLED,
        reason="its result cannot be settled",
        title=f"Mend {bead.id}: its result cannot be settled",
        body=detail,
        detail=detail,
    )


def asked_by_workflow(bead: Bead, execution: Execution, why_stuck: str) -> Escalation | None:
    """Return what the workflow of a bead asks a human; None: it asks nothing. `why_stuck` is empty when it is not."""
    if why_stuck:
        return _lost_its_way(bead, execution, why_stuck)
    node = execution.current
    return _approval(bead, execution, node) if node is not None and node.kind is NodeKind.APPROVAL else None


def _approval(bead: Bead, execution: Execution, node: Node) -> Escalation:
    """A bead whose workflow asks a human whether the work is good."""
    asked_for = node.instructions.strip()
    said = [f"- {review.by} ({review.node}): {review.verdict}. {review.summary}" for review in execution.reviews]
    body = [bead.title, asked_for, "\n".join(["What was said of the work:", *said]) if said else ""]
    return Escalation(
        kind=EscalationKind.APPROVAL,
        reason=f"its workflow {execution.workflow.name} asks for an approval at {execution.node}",
        title=f"Approve {bead.id}: {bead.title}",
        body="\n\n".join(filter(None, body)),
        detail="\n\n".join(filter(None, body[1:])),
    )


def _lost_its_way(bead: Bead, execution: Execution, why: str) -> Escalation:
    """A bead that does not get on in its workflow: it goes round, or fails where no edge leads on."""
    reason = f"its workflow {execution.workflow.name} does not get on"
    return _about(bead, EscalationKind.WORKFLOW, reason, detail=f"{why[:1].upper()}{why[1:]}.")


def declined(bead: Bead, branch: str, url: str) -> Escalation:
    """A bead whose pull request somebody closed without merging it."""
    which = f"The pull request {url}" if url else f"The pull request of {branch}"
    why = (
        f"{which} was not merged, and its branch {branch} was deleted. What was wrong with the work is not known here."
    )
    return _about(bead, EscalationKind.RETURNED, "its pull request was closed without a merge", detail=why)


def returned(bead: Bead, reason: str, returned_to: str | None) -> Escalation:
    """A bead that somebody gives back for a reason of his own; `returned_to` is who had it."""
    first_line = next((line.strip() for line in reason.splitlines() if line.strip()), "it was given back")
    return Escalation(
        kind=EscalationKind.RETURNED,
        reason=first_line,
        title=f"Decide about {bead.id}: {first_line}",
        body=f"{bead.title}\n\n{reason}",
        detail=reason if reason.strip() != first_line else "",
        returned_to=returned_to or bead.wanted_role or None,
    )


def _about(bead: Bead, kind: EscalationKind, reason: str, *, detail: str = "", told: str = "") -> Escalation:
    return Escalation(
        kind=kind,
        reason=reason,
        title=f"Decide about {bead.id}: {reason}",
        body=f"{bead.title}\n\n{told or detail}",
        detail=detail,
        returned_to=bead.wanted_role or None,
    )
