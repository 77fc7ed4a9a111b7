"""`plan`: where each ready bead would go, and why; and why the others would not. It changes nothing."""

from collections.abc import Sequence
from typing import Any

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.explaining import Explainer
from dispatch.cli.options import JsonOption, ProjectOption
from dispatch.cli.views import bead_view
from dispatch.models.bead import Bead
from dispatch.models.dispatching import Placement
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.project import Project
from dispatch.routing.means import choose_means
from dispatch.settings import Landing, Settings
from dispatch.store import Store
from dispatch.wiring import System
from dispatch.workspaces import landing_of

LANDS_BY = {
    Landing.MERGE: "a merge into its target branch (landing = merge)",
    Landing.PR: "a pull request (landing = pr)",
    Landing.NONE: "nobody's hand: it stays on its branch (landing = none)",
}


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch plan --project shop`")(plan)


def plan(context: typer.Context, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show where each ready bead would go now and why, and why the others would not. Changes nothing."""
    with CommandContext.of(context).system() as system:
        project_id = ProjectId(project) if project is not None else None
        projects = [system.store.projects.get(project_id)] if project_id is not None else system.store.projects.all()
        view = _plan_view(system, project_id, projects)
    if as_json:
        output.write_json(view)
    else:
        _write_plan(view)


def _plan_view(system: System, project_id: ProjectId | None, projects: Sequence[Project]) -> dict[str, Any]:
    placements = system.dispatcher.plan(project_id).placements
    ready = _ready(system.store, projects)
    explainer = Explainer(system.store, system.settings, placements)
    placed = {placement.bead for placement in placements}
    waiting = [bead for key, bead in ready.items() if key not in placed]
    return {
        "going": [
            _going_view(ready[placement.bead], placement, system.settings)
            for placement in placements
            if placement.bead in ready
        ],
        "waiting": [
            {**bead_view(bead), "role": explainer.role(bead), "reason": explainer.why(bead)} for bead in waiting
        ],
        "landing": {project.id: landing_of(project, system.settings) for project in projects},
        "not_ready": {project.id: _not_ready(system.store, project.id) for project in projects},
    }


def _ready(store: Store, projects: Sequence[Project]) -> dict[BeadKey, Bead]:
    """Return all that is ready for dispatch or in the tracker's eyes, a project after the other, in dispatch order."""
    found: dict[BeadKey, Bead] = {}
    for project in projects:
        for as_tracker in (False, True):
            for bead in store.reading.ready(project.id, as_tracker=as_tracker):
                found.setdefault(bead.key, bead)
    return found


def _going_view(bead: Bead, placement: Placement, settings: Settings) -> dict[str, Any]:
    means = choose_means(placement.role, bead, settings, [placement.provider] if placement.provider else [])
    runner = means.runner if means is not None else None
    return {
        **bead_view(bead),
        "role": placement.role,
        "runner": runner.name if runner is not None else None,
        "runner_reason": runner.reason if runner is not None else "",
        "provider": placement.provider or None,
        "agents": [agent.name for agent in placement.agents],
        "timeout_seconds": placement.timeout,
        "reason": placement.reason,
    }


def _not_ready(store: Store, project_id: ProjectId) -> dict[str, int]:
    """Count what is neither ready nor done, by status; `blocked` are open ones that wait for others."""
    done = ("open", "closed", "pinned", "tombstone")
    return {status: count for status, count in sorted(store.reading.counts(project_id).items()) if status not in done}


def _write_plan(view: dict[str, Any]) -> None:
    rows = [
        (
            _key(bead),
            f"P{bead['priority']}",
            bead["role"],
            ", ".join(bead["agents"]),
            bead["title"],
            f"{bead['reason']} {_runner_words(bead)}".rstrip(),
        )
        for bead in view["going"]
    ]
    rows += [
        (_key(bead), f"P{bead['priority']}", bead["role"] or "any", "-", bead["title"], _waiting_words(bead))
        for bead in view["waiting"]
    ]
    output.write_table(("bead", "priority", "role", "agent", "title", "reason"), rows, empty="Nothing is ready.")
    for project_id, landing in view["landing"].items() if rows else ():
        output.say(f"Work of {project_id} lands by {LANDS_BY[landing]}.")
    for project_id, counts in view["not_ready"].items():
        if counts:
            listed = ", ".join(f"{status} {count}" for status, count in counts.items())
            output.say(f"Not ready in {project_id}: {listed}. `dispatch why BEAD` says what one waits for.")


def _waiting_words(bead: dict[str, Any]) -> str:
    return " ".join(filter(None, (bead["reason"], bead["role_reason"], bead["role_problem"])))


def _runner_words(bead: dict[str, Any]) -> str:
    if not bead["runner"]:
        return ""
    on = f" on {bead['provider']}" if bead["provider"] else ""
    return f"Runner {bead['runner']}{on}: {bead['runner_reason']}"


def _key(bead: dict[str, Any]) -> str:
    return f"{bead['project']}/{bead['id']}"
