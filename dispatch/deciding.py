"""What a human decides about a bead, by command line, web or API: checked against what there is, then applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatch import escalation, exchange
from dispatch.errors import UsageError
from dispatch.exchange import NewBead
from dispatch.models.bead import DISCOVERED_TYPE, Bead, Dependency
from dispatch.models.decision import Decision, Option, Ruling
from dispatch.models.identity import BeadId
from dispatch.models.importing import BeadRecord
from dispatch.routing import PersonaMatcher, known_personas, role_of_persona
from dispatch.settings import Settings, normal_name
from dispatch.settings.nearest import did_you_mean
from dispatch.store import Store
from dispatch.store.decisions import refuse_twice

PART_EDGE = DISCOVERED_TYPE
"""The type of the edge by which a part of a split bead names that: it only informs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a human says: an option by its name, and what goes with it. `by` is who he is."""

    option: str
    by: str
    advice: str = ""
    role: str = ""
    into: Sequence[str] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that was made now. `released` are the beads that are no longer blocked, `note` is worth knowing."""

    decision: Decision
    released: tuple[BeadId, ...]
    note: str = ""


def decide(store: Store, settings: Settings, name: str, answer: Answer, *, now: datetime) -> Decided:
    """Make the decision that a human means by its own id or by that of its bead; the caller nudges.

    Raises `NotFoundError`, `UsageError` for an answer that does not fit, and `RefusedError` when it was made before.
    """
    decision = store.decisions.find(name)
    refuse_twice(decision)
    option = escalation.choose(answer.option, decision.offer.options)
    given = {"advice": answer.advice, "role": answer.role, "into": answer.into, "reason": answer.reason}
    escalation.check(option, given)
    role, note = named_role(store, settings, answer.role) if answer.role else ("", "")
    parts = _parts(store, settings, decision, answer, now) if option is Option.SPLIT else ()
    ruling = Ruling(
        option=option,
        by=answer.by,
        advice=answer.advice.strip(),
        role=role,
        into=tuple(part.bead.id for part in parts),
        reason=answer.reason.strip(),
    )
    made, released = store.decisions.decide(decision.key, ruling, parts)
    return Decided(decision=made, released=released, note=note)


def named_role(store: Store, settings: Settings, written: str) -> tuple[str, str]:
    """Return the role that a name, an alias or a persona means, and what is to be said of it; raises `UsageError`."""
    matcher = PersonaMatcher(known_personas(settings))
    persona = matcher.named(written)
    served = store.swarm.roles_served()
    role = role_of_persona(persona, settings) if persona else settings.resolve_role(written)
    if not persona and role not in served:
        known = sorted({*served, *settings.roles, *(one.name for one in known_personas(settings))})
        cure = did_you_mean(normal_name(written), known) or f"There are: {', '.join(known)}."
        raise UsageError(problem=f'There is no role "{written}", and no worker serves one', cure=cure)
    return role, "" if role in served else f"No live worker serves the role {role} now."


def _parts(
    store: Store, settings: Settings, decision: Decision, answer: Answer, now: datetime
) -> tuple[BeadRecord, ...]:
    """Make the records of the beads that a bead is split into: as urgent as it, for the role that it asks for."""
    project = store.projects.get(decision.project_id)
    bead = store.reading.bead(decision.bead_key)
    parts: dict[BeadId, BeadRecord] = {}
    for title in answer.into:
        bead_id = exchange.new_id(store, project, title, answer.by, now, also_taken=parts)
        new = NewBead(
            title=title.strip(),
            description=_part_text(bead),
            priority=bead.priority,
            issue_type=bead.issue_type,
            role=bead.wanted_role,
        )
        origin = Dependency(issue_id=bead_id, depends_on_id=bead.id, type=PART_EDGE)
        parts[bead_id] = exchange.new_record(
            project.id, bead_id, new, [origin], created_by=answer.by, now=now, settings=settings
        )
    return tuple(parts.values())


def _part_text(bead: Bead) -> str:
    told = f"A part of {bead.id}: {bead.title}"
    return f"{told}\n\nThe whole was described so:\n\n{bead.description}" if bead.description else told
