"""`dispatch demo --project PATH`: the plan for a repository's own beads, and with `--go` the work."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dispatch.cli import output
from dispatch.cli.exchanging import BEADS_FILES
from dispatch.cli.live_view import LiveView
from dispatch.cli.options import project_name
from dispatch.cli.planning import LANDS_BY
from dispatch.cli.upkeep import End, keep_up, prepare_store
from dispatch.dispatcher import choosing
from dispatch.errors import BadInputError, ConfigurationError
from dispatch.exchange import import_file
from dispatch.models.agent import Agent
from dispatch.models.dispatching import Plan, Supply
from dispatch.models.identity import AgentId, ProjectId, uuid7
from dispatch.models.project import Project
from dispatch.models.states import BeadStatus
from dispatch.settings import Settings, format_duration, load_settings
from dispatch.store import Store
from dispatch.workspaces import ignore_home, landing_of

MAX_RUNNING = 2
_SHOWN = 30
_COLUMNS = ("bead", "title", "role", "runner", "limit", "why")
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would happen to the beads of a project if agents started now."""

    project: Project
    plan: Plan
    titles: dict[str, str]
    waiting: int
    """Open beads that wait for others."""


def play_own(path: Path, *, home: Path | None, config: Path | None, go: bool) -> int:
    """Show the plan for a repository, and work on it when told to go; return the exit code.

    Raises BadInputError for a directory without beads, ConfigurationError when no agent is named.
    """
    path = path.resolve()
    beads_file = _beads_file(path)
    settings = load_settings(home=home, config=config, cwd=path, flags={"dispatch.max_running": MAX_RUNNING})
    _require_agents(settings, path)
    ignore_home(path, settings.home)
    store = prepare_store(settings)
    try:
        project = _project(store, settings, path)
        result = import_file(store, project.id, beads_file, settings=settings)
        output.say(f"Imported {beads_file}: {result.report.created} new, {result.report.updated} changed.")
        _tell(forecast(store, settings, project), settings)
    finally:
        store.close()
    if not go:
        output.say("Nothing was started. To let the agents start: --go (make run PROJECT=... GO=1).")
        return 0
    with LiveView() as view:
        end = keep_up(settings, view, until_idle=True)
    return {End.IDLE: 0, End.ASKED: _INTERRUPTED, End.BROKEN: 1}[end]


def forecast(store: Store, settings: Settings, project: Project) -> Forecast:
    """Say which role and runner each ready bead would get from the configured workers, without starting any."""
    ready = len(store.reading.ready(project.id))
    supply = _supply(settings, project, each=max(ready, 1))
    uncapped = settings.model_copy(update={"dispatch": settings.dispatch.model_copy(update={"max_running": 0})})
    with store.dispatching.look() as round_:
        candidates = round_.candidates(choosing.lanes(supply, uncapped))
    return Forecast(
        project=project,
        plan=choosing.choose(candidates, supply, uncapped),
        titles={candidate.bead.id: candidate.bead.title for candidate in candidates},
        waiting=store.reading.counts(project.id).get(BeadStatus.BLOCKED, 0),
    )


def _supply(settings: Settings, project: Project, *, each: int) -> Supply:
    """Return the agents as if every configured worker had one for each ready bead."""
    agents = tuple(
        Agent(id=AgentId(uuid7()), name=name, roles=tuple(settings.resolve_role(role) for role in worker.roles))
        for name, worker in settings.workers.items()
        for _ in range(each)
    )
    roles = frozenset(role for agent in agents for role in agent.roles)
    return Supply(agents=agents, served_roles=roles, open_by_role={}, projects=(project,))


def _beads_file(path: Path) -> Path:
    directory = path / ".beads"
    for name in BEADS_FILES:
        if (directory / name).is_file():
            return directory / name
    raise BadInputError(
        place=path, problem=f"has no .beads/{BEADS_FILES[0]}", cure="Name the top of a repository that keeps beads."
    )


def _require_agents(settings: Settings, path: Path) -> None:
    if settings.workers and settings.runners:
        return
    raise ConfigurationError(
        place=str(settings.config_file or path / "dispatch.toml"),
        problem="no agent is named, so nothing can be started",
        cure="Let `dispatch init` write a configuration there, or name one yourself: "
        '[runners.mine] kind = "command", argv = ["python", "agent.py"]; [roles.backend-engineer] runners = ["mine"]; '
        '[workers.agents] roles = ["backend-engineer"]. docs/agents.md says more.',
    )


def _project(store: Store, settings: Settings, path: Path) -> Project:
    """Return the project at a path: the known one, the configured one, or a new one named like its directory."""
    for project in store.projects.all():
        if project.path == path:
            return project
    configured = [name for name, project in settings.projects.items() if project.path == path]
    return store.projects.add(ProjectId(configured[0] if configured else project_name(path) or "project"), path)


def _tell(forecast: Forecast, settings: Settings) -> None:
    plan = forecast.plan
    rows = [
        (
            placement.bead.bead_id,
            forecast.titles[placement.bead.bead_id],
            placement.role,
            next(iter(settings.role(placement.role).runners), "none"),
            format_duration(placement.timeout),
            placement.reason,
        )
        for placement in plan.placements
    ]
    output.write_table(_COLUMNS, rows[:_SHOWN], empty="No bead is ready for the configured agents.")
    if len(rows) > _SHOWN:
        output.say(f"... and {len(rows) - _SHOWN} more.")
    for refusal in plan.refusals[:_SHOWN]:
        output.say(f"{refusal.bead.bead_id} would wait: {refusal.reason}")
    output.say(f"Work that is done lands by {LANDS_BY[landing_of(forecast.project, settings)]}.")
    longest = max((placement.timeout for placement in plan.placements), default=timedelta())
    output.say(
        f"Runs now: {len(rows)}, {MAX_RUNNING} at a time, each at most {format_duration(longest)}. Beads that wait for "
        f"others and go then: {forecast.waiting}. A bead that fails is tried up to "
        f"{settings.guards.max_failures} times. What a run costs is what your agents' own providers charge."
    )
