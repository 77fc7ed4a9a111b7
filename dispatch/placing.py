"""Where a bead goes when it is stored: to which role, and into which workflow if any."""

import hashlib
from dataclasses import replace

from dispatch.models.bead import Bead
from dispatch.models.identity import ProjectId
from dispatch.models.routing import Route
from dispatch.routing import Router, role_names
from dispatch.settings import Settings, WorkflowChoice
from dispatch.workflow.choosing import choose
from dispatch.workflow.library import fingerprint, load_workflows


class Placer:
    """Places the beads of one project by one configuration; without one, by the default personas and in no workflow.

    Raises `BadInputError` for a faulty definition of a workflow.
    """

    def __init__(self, settings: Settings | None, project_id: ProjectId) -> None:
        self._router = Router(settings)
        self._choice = settings.project(project_id).workflows if settings is not None else WorkflowChoice.OFF
        self._workflows = load_workflows(settings, role_names(settings)) if settings is not None else {}

    @property
    def fingerprint(self) -> str:
        """A text that differs when another configuration, or another version, might place a bead elsewhere."""
        known = [self._router.fingerprint, self._choice, fingerprint(self._workflows)]
        return hashlib.sha256(" ".join(known).encode()).hexdigest()

    def place(self, bead: Bead) -> Route:
        """Return where a bead goes, by its own words."""
        route = self._router.route(bead)
        chosen = choose(bead, self._workflows, self._choice)
        if chosen.problem and not route.problem:
            return replace(route, problem=chosen.problem, cure=chosen.cure)
        return route if chosen.workflow is None else replace(route, workflow=chosen.workflow.name)
