"""Applies what was decided about a bead: the decision is over, and the bead goes on or is closed.

The caller holds the project's lock.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import case, update

from dispatch.escalation import by_hand, effect_of
from dispatch.models.decision import Option, Ruling, RulingEffect
from dispatch.models.identity import BeadId, BeadKey
from dispatch.models.states import BeadStatus
from dispatch.models.workflow import Condition, Review
from dispatch.store import asking, beads, closing, graph, history, records, schema, workflows
from dispatch.store.transaction import Transaction

_BEADS = schema.beads
_DECISIONS = schema.decisions
_OVER = (BeadStatus.CLOSED, BeadStatus.TOMBSTONE)
BEAD_IS_DONE = "The bead was done before."


def rule(tx: Transaction, decision: Any, ruling: Ruling, *, close_reason: str) -> tuple[BeadId, ...]:
    """Apply a ruling to the locked row of an open decision; return the beads that are no longer blocked.

    `close_reason` is what the tracker is told of the decision.
    """
    _conclude(tx, decision, ruling, close_reason)
    return released(tx, BeadKey.of(decision.project_id, decision.bead_id), [BeadId(decision.id)])


def released(tx: Transaction, key: BeadKey, others: Collection[BeadId] = ()) -> tuple[BeadId, ...]:
    """Bring the graph up to date after a bead and others changed; return those that are no longer blocked and go on."""
    turned = graph.recompute_blocked(tx, key.project_id, [key.bead_id, *others])
    freed = [BeadKey(key.project_id, bead_id) for bead_id, blocked in turned.items() if not blocked]
    known = beads.many(tx, freed)
    return tuple(one.bead_id for one in freed if not known[one].is_done)


def _conclude(tx: Transaction, decision: Any, ruling: Ruling, close_reason: str) -> None:
    key = BeadKey.of(decision.project_id, decision.id)
    about = BeadKey.of(decision.project_id, decision.bead_id)
    note(tx, key, about, ruling)
    row = beads.row_of(tx, key)
    if row is not None and row.status not in _OVER:
        closing.close_bead(tx, row, close_reason, told=f"decided: {ruling}")


def rule_by_hand(tx: Transaction, key: BeadKey, reason: str, by: str) -> tuple[BeadId, ...] | None:
    """Take the closing of a decision's bead as its ruling: the bead goes on, with the reason as advice.

    None: it is no decision of ours, or was decided before.
    """
    row = asking.row_of(tx, key)
    if row is None or row.ruled_at is not None:
        return None
    return rule(tx, row, given_by_hand(row, reason, by), close_reason=reason)


def given_by_hand(decision: Any, reason: str, by: str) -> Ruling:
    """Return what closing the bead of a decision means."""
    options = tuple(Option(option) for option in decision.offer["options"])
    return Ruling(option=by_hand(options), by=by, advice=reason)


def end_moot(tx: Transaction, about: BeadKey, by: str, *, reason: str = BEAD_IS_DONE) -> list[BeadId]:
    """End the open decision about a bead, and return its id: there is nothing to decide any more."""
    row = asking.open_row_about(tx, about)
    if row is None:
        return []
    _conclude(tx, row, Ruling(option=Option.MOOT, by=by, reason=reason), reason)
    return [BeadId(row.id)]


def note(tx: Transaction, key: BeadKey, about: BeadKey, ruling: Ruling) -> None:
    """Write what was decided, and let the bead go on or close it; the decision's own bead stays as it is."""
    _write(tx, key, ruling)
    history.add_event(tx, "decision.made", bead=about, decision=key.bead_id, **records.ruling_facts(ruling))
    _apply(tx, about, ruling, effect_of(ruling))


def _write(tx: Transaction, key: BeadKey, ruling: Ruling) -> None:
    tx.connection.execute(
        update(_DECISIONS)
        .where(
            _DECISIONS.c.project_id == key.project_id, _DECISIONS.c.id == key.bead_id, _DECISIONS.c.ruled_at.is_(None)
        )
        .values(ruled_at=tx.now(), ruling=records.ruling_facts(ruling))
    )


def _apply(tx: Transaction, about: BeadKey, ruling: Ruling, effect: RulingEffect) -> None:
    """Let the bead go on, or close it. One that is done meanwhile stays as it is."""
    row = beads.row_of(tx, about)
    if row is None or records.bead(row).is_done:
        return
    if effect.closes:
        closing.close_bead(tx, row, effect.close_reason, told=f"decided by {ruling.by}: {effect.close_reason}")
        return
    let_go_on(tx, row, effect, ruling.by)
    if row.node and ruling.option is not Option.MOOT:
        _go_on_in_workflow(tx, row, ruling, effect)


def let_go_on(tx: Transaction, row: Any, effect: RulingEffect, by: str) -> None:
    """Take from the bead of a locked row what holds it back by itself, and give it what the effect says."""
    columns = _BEADS.c
    moment = tx.moment()
    values: dict[str, Any] = {
        "failures": 0,
        "cooldown_until": None,
        "refusal": "",
        "hold": "",
        "triaged_at": case((columns.triaged_at.is_not(None), moment)),
    }
    if effect.advice:
        values["advised"] = True
    if effect.renews_limit:
        values["hop_allowance"] = columns.hops
    if effect.role:
        values |= _to_role(row, effect.role, by, moment)
    tx.connection.execute(
        update(_BEADS).where(columns.project_id == row.project_id, columns.id == row.id).values(values)
    )


def _go_on_in_workflow(tx: Transaction, row: Any, ruling: Ruling, effect: RulingEffect) -> None:
    """Take the edge that a human's word leads along; any other word lets the bead try its node anew."""
    if effect.verdict is None:
        workflows.renew(tx, BeadKey.of(row.project_id, row.id))
        return
    review = Review(node=row.node, by=ruling.by, verdict=effect.verdict, summary=ruling.advice)
    workflows.advance_bead(tx, row, Condition(effect.verdict), review)


def _to_role(row: Any, role: str, by: str, moment: Any) -> dict[str, Any]:
    """Return what sends a bead to a role until its tracker asks for another one than it did so far."""
    asked_for = row.triaged_from if row.triaged_from is not None else row.role_hint
    return {
        "role_hint": role,
        "role_reason": f"{by} decided that it goes to {role}.",
        "role_problem": "",
        "ready_since": moment,
        "triaged_from": asked_for,
    }
