"""Why a bead is where it is: gathers what `readiness.reasons` needs to say it in one sentence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from dispatch.budget import bead_refusal
from dispatch.dispatcher import role_for
from dispatch.dispatcher.modelling import ModelSupply
from dispatch.dispatcher.parking import Obstacles, obstacles, readiness_issues
from dispatch.models.bead import PARENT_TYPE, WAITS_FOR_TYPE, Bead
from dispatch.models.decision import DECISION_TYPE
from dispatch.models.dispatching import Placement, Supply
from dispatch.models.states import BeadStatus
from dispatch.readiness.reasons import Situation, explain, explain_all
from dispatch.routing.means import Means
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
        self._models = ModelSupply(self._supply, settings)
        self._obstacles = {project.id: obstacles(project, self._supply, settings) for project in self._supply.projects}

    def role(self, bead: Bead) -> str | None:
        """Return the role that a bead would go to; None: any."""
        return role_for(bead.role_hint, bead.project_id, self._supply, self._settings)

    def means(self, bead: Bead) -> Means | None:
        """Return by which runner and provider a bead would be worked on; None while nobody can tell."""
        role = self.role(bead)
        return self._models.means(role, bead) if role is not None and not bead.is_done else None

    def why(self, bead: Bead) -> str:
        """Say in one sentence where a bead stands, and why it is not further."""
        return explain(self._situation(bead))

    def all_reasons(self, bead: Bead) -> list[str]:
        """Say all that keeps a bead from going, and what else is worth knowing of its project."""
        return explain_all(self._situation(bead))

    def _situation(self, bead: Bead) -> Situation:
        role = self.role(bead)
        # An open bead that runs would not be open: its runs need not be asked for.
        runs = [] if bead.status == BeadStatus.OPEN else self._store.reading.runs(bead=bead.key, open_only=True)
        found = self._obstacles.get(bead.project_id) or Obstacles()
        return Situation(
            bead=bead,
            now=datetime.now(UTC),
            supply=self._supply,
            role=role,
            blockers=self._blockers(bead) if bead.blocked else (),
            run=runs[0] if runs else None,
            slots=self._settings.role(role).slots if role else 0,
            max_running=self._settings.dispatch.max_running,
            any_from=self._any_from(bead),
            unready=found.readiness,
            breaker=found.breaker,
            spent=bead_refusal(bead.usd, self._settings.project_caps(bead.project_id)) or found.budget,
            models=self._models.obstacle(role) if role else None,
            worth_knowing=readiness_issues(bead.project_id, self._supply, self._settings),
        )

    def _any_from(self, bead: Bead) -> datetime | None:
        """Return from when any agent may take a bead whose role nobody serves; None: never."""
        patience = self._settings.dispatch.patience
        deferred = bead.defer_until if bead.failures else bead.ready_from
        moments = [moment for moment in (bead.ready_since, deferred) if moment is not None]
        return (max(moments) + patience).astimezone(UTC) if patience is not None and moments else None

    def _blockers(self, bead: Bead) -> list[str]:
        phrases = []
        for blocker in self._store.reading.blockers(bead.key):
            match blocker.type:
                case type_ if type_ == PARENT_TYPE:
                    phrases.append(f"its parent {blocker.id}, which is blocked itself")
                case type_ if type_ == WAITS_FOR_TYPE:
                    phrases.append(f"the children of {blocker.id}")
                case _ if blocker.issue_type == DECISION_TYPE:
                    phrases.append(f"a human: {blocker.title} (`dispatch inbox {blocker.id}`)")
                case _:
                    phrases.append(f"{blocker.id} ({blocker.status})")
        return phrases


def _without(supply: Supply, placements: Sequence[Placement]) -> Supply:
    taken = {agent.id for placement in placements for agent in placement.agents}
    in_use = Counter(supply.open_by_role)
    in_use.update(placement.role for placement in placements for _ in placement.agents)
    return replace(supply, agents=tuple(agent for agent in supply.agents if agent.id not in taken), open_by_role=in_use)
