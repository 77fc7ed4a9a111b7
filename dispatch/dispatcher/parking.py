"""Which projects may go on: readiness, breaker and budget, asked once a round for each. Source: SPEC, "Dispatch"."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dispatch.budget import bead_cap, project_reason, system_reason
from dispatch.models.dispatching import Candidate, Lane, Placement, Plan, Supply
from dispatch.models.guarding import Spent
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.readiness.breaker import OpenBreaker, open_breaker
from dispatch.readiness.checking import blocking_reason, current, is_due
from dispatch.settings import ReadinessMode, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacles:
    """What keeps a project from going on, each as a sentence or None, in the order of the steps that ask.

    `breaker` also stands for a project of which one bead is tried. `is_unknown`: nobody has looked at the project's
    readiness, or not lately.
    """

    paused: str | None = None
    readiness: str | None = None
    breaker: str | None = None
    budget: str | None = None
    lets_probe: bool = False
    is_unknown: bool = False

    @property
    def first(self) -> str | None:
        """The first of them that parks the project."""
        return self.paused or self.readiness or self.breaker or self.budget

    @property
    def lasts(self) -> bool:
        """Tell whether the project stays parked until somebody mends what is wrong, or a wait is over."""
        return self.first is not None and not (self.is_unknown and not (self.paused or self.breaker or self.budget))

    @property
    def is_closed(self) -> bool:
        """Tell whether nothing at all of the project may go."""
        return bool(self.paused or self.readiness or self.budget or (self.breaker and not self.lets_probe))


def obstacles(project: Project, supply: Supply, settings: Settings) -> Obstacles:
    """Say what keeps a project from going on at the moment of a look."""
    breaker = breaker_of(project.id, supply, settings)
    open_runs = supply.open_by_project.get(project.id, 0)
    ready = current(supply.readiness.get(project.id), supply.now, supply.served_roles, settings)
    blocks = settings.guards.readiness_mode is ReadinessMode.BLOCK
    return Obstacles(
        paused=paused_reason(project.pause_reason) if project.paused else None,
        readiness=blocking_reason(project.id, ready) if blocks else None,
        breaker=breaker.reason(supply.now, open_runs) if breaker else None,
        budget=budget_reason(project.id, supply, settings),
        lets_probe=breaker is not None and breaker.lets_probe(supply.now, open_runs),
        is_unknown=blocks and ready is None,
    )


def breaker_of(project_id: ProjectId, supply: Supply, settings: Settings) -> OpenBreaker | None:
    """Return the open breaker of a project, if it is open."""
    return open_breaker(project_id, supply.failing.get(project_id), settings.guards)


def budget_reason(project_id: ProjectId, supply: Supply, settings: Settings) -> str | None:
    """Say why the project, or the whole system, may spend no more today."""
    caps = settings.project_caps(project_id)
    spent = supply.spent.get(project_id, Spent())
    return project_reason(project_id, spent, caps) or system_reason(supply.spent.values(), caps)


def readiness_issues(project_id: ProjectId, supply: Supply, settings: Settings) -> tuple[str, ...]:
    """Return the issues that the last look at a project found, however old it is; in BLOCK mode those that stop it not.

    In WARN mode nothing but this shows them.
    """
    checked = supply.readiness.get(project_id)
    found = current(checked, checked.checked_at, supply.served_roles, settings) if checked is not None else None
    blocks = settings.guards.readiness_mode is ReadinessMode.BLOCK
    return () if found is None or (blocks and not found.ok) else found.issues


def paused_reason(reason: str) -> str:
    return f"Paused: {reason.rstrip('.') or 'no reason given'}."


class Guards:
    """What the guards of all projects say in one round, and how its plan is made to obey them."""

    def __init__(self, supply: Supply, settings: Settings) -> None:
        self._supply = supply
        self._settings = settings
        self._obstacles = {project.id: obstacles(project, supply, settings) for project in supply.projects}

    @property
    def parked(self) -> Mapping[ProjectId, str]:
        """Why each project that does not go on freely is parked."""
        return {
            project_id: reason for project_id, found in self._obstacles.items() if (reason := found.first) is not None
        }

    def lanes(self, make: Callable[[Supply], Sequence[Lane]]) -> list[Lane]:
        """Return the lanes that `make` finds in the projects that may go on, with their caps.

        Of a project that is tried, or only looked at to know whether anything waits there, each is one bead long.
        """
        open_projects = [project for project in self._supply.projects if self._shows(project.id)]
        return [self._limited(lane) for lane in make(replace(self._supply, projects=tuple(open_projects)))]

    def _shows(self, project_id: ProjectId) -> bool:
        found = self._obstacles[project_id]
        return not found.is_closed or (self._waits_for_check(project_id) and not found.paused)

    def _waits_for_check(self, project_id: ProjectId) -> bool:
        """Tell whether a look at the project's readiness is what may let it go on."""
        return self._obstacles[project_id].readiness is not None and self.is_due(project_id)

    def is_due(self, project_id: ProjectId) -> bool:
        return is_due(self._supply.readiness.get(project_id), self._supply.now)

    def _limited(self, lane: Lane) -> Lane:
        limit = 1 if self._obstacles[lane.project_id].first else lane.limit
        return replace(lane, limit=limit, bead_cap=bead_cap(self._settings.project_caps(lane.project_id)))

    def passing(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates of projects that may go on."""
        return [candidate for candidate in candidates if not self._obstacles[candidate.lane.project_id].is_closed]

    def applied(self, plan: Plan, candidates: Sequence[Candidate]) -> Plan:
        """Return a plan of passing candidates as the guards want it: one bead of a project on trial, parked ones told.

        `candidates` are all that were seen.
        """
        waiting = {candidate.lane.project_id for candidate in candidates}
        return replace(
            plan,
            placements=tuple(self._one_on_trial(plan.placements)),
            parked=self.parked,
            unchecked=frozenset(filter(self.is_due, waiting)),
        )

    def _one_on_trial(self, placements: Sequence[Placement]) -> list[Placement]:
        kept: list[Placement] = []
        tried: set[ProjectId] = set()
        for placement in placements:
            project_id = placement.bead.project_id
            if self._obstacles[project_id].breaker and project_id in tried:
                continue
            tried.add(project_id)
            kept.append(placement)
        return kept
