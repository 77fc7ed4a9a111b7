"""What a run reports, as values. A run returns exactly one; `results` matches on it once.

They travel between processes and rest in the database as JSON, so they are pydantic models told apart by `kind`.
Source: SPEC, "Runs, results, time".
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = ""
    """A sentence for a human: what was done, or what went wrong."""


class Completed(_Outcome):
    """The work is done: the run's commit holds it, or nothing needed doing (`nothing_to_do`).

    A run that looks at the work of others says its `verdict`; without one it approves.
    """

    kind: Literal["completed"] = "completed"
    nothing_to_do: bool = False
    verdict: Literal["", "approved", "rejected"] = ""


class Failed(_Outcome):
    """The agent ended without doing the work. `cause` is short and stable, so that equal failures compare equal."""

    kind: Literal["failed"] = "failed"
    cause: str
    output: str = ""
    """The end of what the agent printed."""


class TimedOut(_Outcome):
    """The run reached its deadline; its work in progress was committed."""

    kind: Literal["timed_out"] = "timed_out"
    limit_seconds: float


class Looped(_Outcome):
    """The agent repeated itself without progress and was stopped."""

    kind: Literal["looped"] = "looped"
    reason: str


class NeedsInput(_Outcome):
    """The agent asks a human."""

    kind: Literal["needs_input"] = "needs_input"
    question: str


class Cancelled(_Outcome):
    """The run was ended from outside: `cause` is a `StopReason`."""

    kind: Literal["cancelled"] = "cancelled"
    cause: str


class Lost(_Outcome):
    """The run's lease ended: its worker died, or cannot reach the database."""

    kind: Literal["lost"] = "lost"


Outcome = Annotated[
    Completed | Failed | TimedOut | Looped | NeedsInput | Cancelled | Lost,
    Field(discriminator="kind"),
]

OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)
"""Reads an outcome from JSON or a dict, and writes one."""


HOP_KINDS = frozenset({"completed", "failed", "timed_out", "looped"})
"""The outcomes of runs that count against the hop limit.

Lost, handed-back, cancelled and asking runs do not (PROTOCOL, "States").
"""


def counts_as_hop(outcome: Outcome) -> bool:
    """Tell whether a run with this outcome used up one of the bead's dispatches."""
    return outcome.kind in HOP_KINDS


def counts_as_failure(outcome: Outcome) -> bool:
    """Tell whether a run with this outcome makes the bead cool down and counts towards `max_failures`."""
    return isinstance(outcome, Failed | TimedOut | Looped)


def error_text(outcome: Outcome) -> str | None:
    """Return the line of the bead's error history that this outcome adds, or None when it adds none."""
    match outcome:
        case Failed(cause=cause, summary=summary, output=output):
            return "\n".join(part for part in (f"failed: {cause}", summary, output) if part)
        case TimedOut(limit_seconds=limit, summary=summary):
            return "\n".join(part for part in (f"timed out after {limit:g} s", summary) if part)
        case Looped(reason=reason):
            return f"stopped in a loop: {reason}"
        case _:
            return None
