"""The words of a decision: why the bead came back, and what a human can do. Source: SPEC, "Escalation"."""

from dispatch.models.bead import Bead
from dispatch.models.settling import Escalation

_HOW = (
    "Settle it by closing this decision (`dispatch close {project}/DECISION --reason 'your advice'`): the bead goes "
    "on. Close the bead itself instead if it should not be done."
)


def _body(bead: Bead, *parts: str) -> str:
    return "\n\n".join([*parts, _HOW.format(project=bead.project_id)])


def worn_out(bead: Bead, failures: int, last_error: str) -> Escalation:
    """A bead that failed too often in a row."""
    reason = f"{failures} runs in a row failed"
    return Escalation(
        reason=reason,
        title=f"Decide about {bead.id}: {reason}",
        body=_body(bead, f"{bead.title}\n\nThe last error was:", last_error),
        returned_to=bead.role_hint or None,
    )


def asked(bead: Bead, question: str) -> Escalation:
    """A bead whose agent asks a human."""
    first_line = next((line.strip() for line in question.splitlines() if line.strip()), "its agent asks")
    return Escalation(
        reason="its agent asks",
        title=f"Answer {bead.id}: {first_line}",
        body=_body(bead, question),
        returned_to=bead.role_hint or None,
    )


def settle_broken(bead: Bead, run: str, cause: str) -> Escalation:
    """A bead whose finished run could not be settled."""
    return Escalation(
        reason="its result cannot be settled",
        title=f"Mend {bead.id}: its result cannot be settled",
        body=_body(bead, f"Settling run {run} failed again and again. The last cause was:", cause),
    )
