"""The built-in escalator: a human decides, by a decision bead that blocks the bead until then."""

from typing import Protocol

from dispatch.errors import NotFoundError, RefusedError, UsageError
from dispatch.escalation import returned
from dispatch.models.bead import Bead
from dispatch.models.decision import DECISION_TYPE, Decision
from dispatch.models.identity import BeadKey
from dispatch.models.settling import Escalation, LookBack, Past
from dispatch.results.limits import inform


class EscalatingRecords(Protocol):
    """What it needs of the store."""

    def resolve(self, name: str) -> BeadKey: ...
    def find_bead(self, key: BeadKey) -> Bead | None: ...
    def look_back(self, key: BeadKey, wanted: LookBack) -> Past: ...
    def escalate(self, key: BeadKey, escalation: Escalation) -> Decision: ...


class EscalationStore(Protocol):
    """The part of the store that it uses."""

    @property
    def settling(self) -> EscalatingRecords: ...


class DecisionEscalator:
    """Escalates by making a decision bead, with what the bead's runs came to. A bead has at most one that is open."""

    def __init__(self, store: EscalationStore) -> None:
        self._store = store

    def escalate_bead_to_ceo(self, bead_id: str, reason: str, returned_to: str | None = None) -> Decision:
        """Have a human decide about a bead, before it goes on. While a decision about it is open, that is updated.

        `bead_id` may be given as `project/id`; `returned_to` is the role that had the bead. Raises `NotFoundError`,
        `AmbiguousBeadError`, `UsageError` without a reason, and `RefusedError` for a bead that is done or is a decision
        itself.
        """
        records = self._store.settling
        key = records.resolve(bead_id)
        bead = records.find_bead(key)
        if bead is None:
            raise NotFoundError(thing="bead", name=bead_id, cure="See `dispatch ready --all --project ID`.")
        if not reason.strip():
            raise UsageError(problem=f"There is no reason why a human should decide about {key}", cure="Give one.")
        if bead.is_done or bead.issue_type == DECISION_TYPE:
            what = bead.status if bead.is_done else "a decision itself"
            raise RefusedError(problem=f"{key} is {what}", cure="There is nothing to decide about it.")
        past = records.look_back(key, LookBack(actions=True))
        return records.escalate(key, inform(returned(bead, reason, returned_to), bead, past))
