"""Why a bead is where it is: gathers what `readiness.reasons` needs to say it in one sentence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from dispatch.dispatcher import default_role
from dispatch.models.bead import PARENT_TYPE, WAITS_FOR_TYPE, Bead
from dispatch.models.dispatching import Placement, Supply
from dispatch.models.states import BeadStatus
from dispatch.readiness.reasons import Situation, explain
from dispatch.settings import Settings
from dispatch.store import Store


class Explainer:
    """Explains any number of beads by one look at who could work now.

    `placements` are taken as done: whoever they use is not free for the beads that are explained.
    """

    def __init__(self, store: Store, settings: Settings, placements: Sequence[Placement] = ()) -> None:
        self._store = store
        self._settings = settings
        with store.dispatching.look() as round_:
            self._supply = _without(round_.supply(lock=False), placements)

    def role(self, bead: Bead) -> str | None:
        """Return the role that a bead would go to; None: any."""
        if bead.role_hint:
            return self._settings.resolve_role(bead.role_hint)
        project = next((project for project in self._supply.projects if project.id == bead.project_id), None)
        return default_role(project, self._supply, self._settings) if project is not None else None

    def why(self, bead: Bead) -> str:
        """Say in one sentence where a bead stands, and why it is not further."""
        role = self.role(bead)
        # An open bead that runs would not be open: its runs need not be asked for.
        runs = [] if bead.status == BeadStatus.OPEN else self._store.reading.runs(bead=bead.key, open_only=True)
        return explain(
            Situation(
                bead=bead,
                now=datetime.now(UTC),
                supply=self._supply,
                role=role,
                blockers=self._blockers(bead) if bead.blocked else (),
                run=runs[0] if runs else None,
                slots=self._settings.role(role).slots if role else 0,
                max_running=self._settings.dispatch.max_running,
            )
        )

    def _blockers(self, bead: Bead) -> list[str]:
        phrases = []
        for blocker in self._store.reading.blockers(bead.key):
            match blocker.type:
                case type_ if type_ == PARENT_TYPE:
                    phrases.append(f"its parent {blocker.id}, which is blocked itself")
                case type_ if type_ == WAITS_FOR_TYPE:
                    phrases.append(f"the children of {blocker.id}")
                case _:
                    phrases.append(f"{blocker.id} ({blocker.status})")
        return phrases


def _without(supply: Supply, placements: Sequence[Placement]) -> Supply:
    taken = {agent.id for placement in placements for agent in placement.agents}
    in_use = Counter(supply.open_by_role)
    in_use.update(placement.role for placement in placements for _ in placement.agents)
    return replace(supply, agents=tuple(agent for agent in supply.agents if agent.id not in taken), open_by_role=in_use)
