"""Looking at the work: `status`, `runs`, `agents`; and `tick`, which drives it by hand."""

from typing import Annotated, Any

import typer

from dispatch.budget import dollars
from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import JsonOption, ProjectOption
from dispatch.cli.views import agent_view, outcome_text, run_view, worker_view
from dispatch.dispatcher.parking import readiness_issues
from dispatch.dispatcher.status import read as read_status
from dispatch.errors import UnavailableError
from dispatch.models.agent import Agent
from dispatch.models.guarding import Spent
from dispatch.models.identity import ProjectId, RunId
from dispatch.models.project import Project
from dispatch.models.queues import SERVICE_QUEUES
from dispatch.readiness.reasons import role_pause
from dispatch.settings import DispatchMode, Settings, format_duration
from dispatch.store import Store
from dispatch.wiring import require_broker, require_result_backend


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch status`")(status)
    app.command(epilog="Example: `dispatch runs --open --json`")(runs)
    app.command(epilog="Example: `dispatch agents`")(agents)
    app.command(epilog="Example: `dispatch tick`")(tick)


def status(context: typer.Context, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show whether work goes on, and why not; projects, workers and the clockwork behind them."""
    command = CommandContext.of(context)
    with command.store() as store:
        shown = [store.projects.get(ProjectId(project))] if project is not None else store.projects.all()
        view = _status_view(store, command.settings, shown)
    if view["queues_without_consumer"]:
        view["servers_away"] = _servers_away(command)
    if as_json:
        output.write_json(view)
    else:
        _write_status(view)


def _status_view(store: Store, settings: Settings, projects: list[Project]) -> dict[str, Any]:
    with store.dispatching.look() as round_:
        supply = round_.supply(lock=False)
    system = read_status(store.dispatching, None)
    agents = store.swarm.agents()
    served = store.swarm.queues_served()
    return {
        "state": system.state,
        "reason": system.reason,
        "paused_roles": supply.paused_roles,
        "updated_at": system.updated_at,
        "tick_age_seconds": store.reading.tick_age(),
        "open_runs": store.dispatching.count_open_runs(),
        "agents": {"all": len(agents), "idle": sum(agent.run_id is None for agent in agents)},
        "workers": [worker_view(worker) for worker in store.swarm.workers()],
        "queues_without_consumer": [queue for queue in SERVICE_QUEUES if queue not in served],
        "servers_away": [],
        "decisions": dict(zip(("open", "overdue"), store.decisions.counts(), strict=True)),
        "spent_today": sum(supply.spent.values(), start=Spent()),
        "projects": [
            {
                **_project_status(store, project),
                "readiness_issues": readiness_issues(project.id, supply, settings),
                "spent_today": supply.spent.get(project.id, Spent()),
            }
            for project in projects
        ],
    }


def _servers_away(command: CommandContext) -> list[str]:
    """Say which server keeps workers from coming. Asked only when some are missing: it takes Celery and a while."""
    if command.settings.dispatch.dispatch_mode is DispatchMode.LOCAL:
        return []
    found = []
    for require in (require_broker, require_result_backend):
        try:
            require(command.settings, command.addresses)
        except UnavailableError as error:
            found.append(str(error))
    return found


def _project_status(store: Store, project: Project) -> dict[str, Any]:
    noted = read_status(store.dispatching, project.id)
    return {
        "id": project.id,
        "state": noted.state,
        "reason": noted.reason,
        "paused": project.paused,
        "open_runs": store.dispatching.count_open_runs(project.id),
        "ready": store.reading.count_ready(project.id),
        "beads": dict(sorted(store.reading.counts(project.id).items())),
    }


def _write_status(view: dict[str, Any]) -> None:
    age, agents = view["tick_age_seconds"], view["agents"]
    output.write(f"{view['state']}: {view['reason']}")
    output.write(f"last tick: {format_duration(age) + ' ago' if age is not None else 'never'}")
    output.write(f"open runs: {view['open_runs']}; agents: {agents['all']}, idle: {agents['idle']}")
    for role, reason in sorted(view["paused_roles"].items()):
        output.write(f"{role_pause(role, {role: reason})} `dispatch resume --role {role}` ends that.")
    if view["queues_without_consumer"]:
        output.write(
            f"no live worker consumes: {', '.join(view['queues_without_consumer'])} (`dispatch up` starts them)"
        )
    for problem in view["servers_away"]:
        output.write(problem)
    for worker in view["workers"]:
        if worker["trouble"]:
            output.write(f"{worker['node']} takes nothing: {worker['trouble']}")
    if view["decisions"]["open"]:
        output.write(
            "decisions that wait for a human: {open}, overdue: {overdue} (`dispatch inbox`)".format(**view["decisions"])
        )
    if view["spent_today"] != Spent():
        output.write(f"used today: {_spent(view['spent_today'])}")
    for project in view["projects"]:
        for issue in project["readiness_issues"]:
            output.write(f"{project['id']}: {issue}")
    rows = [
        (
            project["id"],
            "paused" if project["paused"] else project["state"],
            project["ready"],
            project["open_runs"],
            ", ".join(f"{status} {count}" for status, count in project["beads"].items()),
            project["reason"],
        )
        for project in view["projects"]
    ]
    output.write_table(
        ("project", "state", "ready", "open runs", "beads", "reason"), rows, empty="There is no project yet."
    )


def _spent(spent: Spent) -> str:
    return f"{dollars(spent.usd)}, {spent.tokens_in:,} tokens in, {spent.tokens_out:,} tokens out"


def runs(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only those of one project.", show_default="all")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.", show_default=True)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    with CommandContext.of(context).store() as store:
        project_id = store.projects.get(ProjectId(project)).id if project is not None else None
        found = store.reading.runs(project_id=project_id, open_only=open_only, limit=limit)
    if as_json:
        output.write_json([run_view(run) for run in found])
        return
    rows = [
        (run.id, str(run.bead_key), run.role, run.attempt, run.state, run.agent_name, run.created_at, outcome_text(run))
        for run in found
    ]
    output.write_table(
        ("run", "bead", "role", "attempt", "state", "agent", "since", "outcome"), rows, empty="There are no runs."
    )


def agents(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the agents of live workers, and what each works on."""
    with CommandContext.of(context).store() as store:
        found = store.swarm.agents()
        beads = {run.id: str(run.bead_key) for run in store.reading.runs(open_only=True)}
    if as_json:
        output.write_json([{**agent_view(agent), "bead": _bead(agent, beads)} for agent in found])
        return
    rows = [
        (agent.name, agent.roles, agent.state, _bead(agent, beads), output.moment(agent.last_used_at))
        for agent in found
    ]
    output.write_table(
        ("agent", "roles", "state", "bead", "last used"),
        rows,
        empty="No worker with agents is alive; `dispatch up` starts those of the configuration.",
    )


def _bead(agent: Agent, beads: dict[RunId, str]) -> str | None:
    return beads.get(agent.run_id) if agent.run_id is not None else None


def tick(context: typer.Context, as_json: JsonOption = False) -> None:
    """Do one tick by hand: bring back lost work, settle what was left, and dispatch what can go."""
    command = CommandContext.of(context)
    require_broker(command.settings, command.addresses)
    require_result_backend(command.settings, command.addresses)
    with command.system() as system:
        report = system.tick.run()
    if as_json:
        output.write_json(report)
    elif report.busy:
        output.write("Another tick is at work; this one left it the field.")
    else:
        output.write(
            f"dispatched {report.dispatched}, republished {report.republished}, "
            f"lost {len(report.lost)}, withdrawn {len(report.withdrawn)}"
        )
