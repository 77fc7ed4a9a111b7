"""Looking at beads: `ready`, `why`, `show`."""

from datetime import datetime
from typing import Annotated, Any

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.explaining import Explainer
from dispatch.cli.options import BeadArgument, JsonOption, ProjectOption, chosen_project
from dispatch.cli.views import action_view, bead_view, outcome_text, pull_request_view, run_view
from dispatch.cli.workflow_view import execution_view, where_lines
from dispatch.errors import UsageError
from dispatch.interop import parse_time
from dispatch.loops import BeadHistory
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadKey
from dispatch.models.settling import LookBack
from dispatch.routing import Router
from dispatch.routing.means import Means
from dispatch.store import FixedClock, Store

SHOWN_ACTIONS = 10


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch ready --project shop --all --now 2026-09-25T00:00Z --json`")(ready)
    app.command(epilog="Example: `dispatch why shop-k3x9`")(why)
    app.command(epilog="Example: `dispatch show shop/shop-k3x9`")(show)


def ready(
    context: typer.Context,
    project: ProjectOption = None,
    as_tracker: Annotated[
        bool, typer.Option("--all", help="What the tracker calls ready, also what no agent is given.")
    ] = False,
    now: Annotated[
        str | None, typer.Option(metavar="TIME", help="As of this moment, for example 2026-09-25T00:00Z.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the beads that can go now, in the order in which they go: by priority, then oldest first."""
    clock = FixedClock(_moment(now)) if now is not None else None
    with CommandContext.of(context).store(clock=clock) as store:
        beads = store.reading.ready(chosen_project(store, project).id, as_tracker=as_tracker, limit=limit)
    if as_json:
        output.write_json([bead_view(bead) for bead in beads])
        return
    rows = [(bead.id, f"P{bead.priority}", bead.issue_type, bead.wanted_role, bead.title) for bead in beads]
    output.write_table(("bead", "priority", "type", "role", "title"), rows, empty="Nothing is ready.")


def why(
    context: typer.Context,
    bead: BeadArgument,
    every: Annotated[
        bool, typer.Option("--all-reasons", help="All that keeps it from going, not only the first.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say in one sentence why a bead is where it is."""
    command = CommandContext.of(context)
    with command.store() as store:
        found = store.reading.bead(store.reading.resolve(bead))
        explainer = Explainer(store, command.settings)
        reasons = explainer.all_reasons(found) if every else [explainer.why(found)]
        role = explainer.role(found)
    if as_json:
        view = {"id": found.id, "project": found.project_id, "status": found.status, "reason": reasons[0]}
        told = {"reasons": reasons} if every else {}
        output.write_json({**view, **told, "role": role, **_wish_view(found)})
        return
    for reason in reasons:
        output.write(f"{found.key}: {reason}")
    if not found.is_done:
        for sentence in filter(None, (found.role_reason, found.role_problem)):
            output.write(sentence)


def _wish_view(bead: Bead) -> dict[str, str]:
    """Return what there is to say about the role that a bead asks for."""
    return {"role_reason": bead.role_reason, "role_problem": bead.role_problem}


def show(context: typer.Context, bead: BeadArgument, as_json: JsonOption = False) -> None:
    """Show a bead with its dependencies, runs, last actions and errors."""
    command = CommandContext.of(context)
    with command.store() as store:
        key = store.reading.resolve(bead)
        bead_found = store.reading.bead(key)
        explainer = Explainer(store, command.settings)
        view = {
            **_gathered(store, key),
            "why": explainer.why(bead_found),
            "routed_title": Router(command.settings).routed_title(bead_found),
            "runner": _runner_view(explainer.means(bead_found)),
            "workflow": execution_view(store, key),
            "pull_request": _pull_request(store, key),
        }
    if as_json:
        output.write_json(view)
    else:
        _write_bead(view)


def _runner_view(means: Means | None) -> dict[str, str] | None:
    """Return which runner would do a bead, and on which provider; None while nobody can tell, and when it is done."""
    if means is None:
        return None
    view = {"name": means.runner.name, "reason": means.runner.reason}
    if means.provider is not None:
        view |= {"provider": means.provider.name, "provider_reason": means.provider.reason}
    return view


def _gathered(store: Store, key: BeadKey) -> dict[str, Any]:
    reading = store.reading
    bead = reading.bead(key)
    runs = reading.runs(bead=key)
    told = store.lessons.told([run.id for run in runs])
    waits_for = [(edge.depends_on_id, edge.type) for edge in reading.dependencies(key)]
    named_by = [(edge.issue_id, edge.type) for edge in reading.dependents(key)]
    known = reading.beads([BeadKey(key.project_id, other) for other, _ in (*waits_for, *named_by)])

    def edge_view(other: str, kind: str) -> dict[str, Any]:
        found = known.get(BeadKey.of(key.project_id, other))
        return {"id": other, "type": kind, "status": found.status if found else None}

    return {
        **bead_view(bead),
        "description": bead.description,
        "metadata": bead.metadata,
        "dependencies": [edge_view(*edge) for edge in waits_for],
        "dependents": [edge_view(*edge) for edge in named_by],
        "runs": [
            {
                **run_view(run),
                "outcome_text": outcome_text(run),
                "lessons": [{"id": lesson.id, "title": lesson.title} for lesson in told.get(run.id, ())],
            }
            for run in runs
        ],
        "actions": [action_view(action) for action in reading.actions(runs[0].id)] if runs else [],
        "commits_text": str(bead.commits),
        "progress": _progress(store, key) if runs else "",
        "errors": [
            {"at": error.timestamp, "error": error.error, "attempt": error.dispatch} for error in reading.errors(key)
        ],
    }


def _pull_request(store: Store, key: BeadKey) -> dict[str, Any] | None:
    found = store.pull_requests.find(key)
    return {**pull_request_view(found), "told": str(found)} if found is not None else None


def _progress(store: Store, key: BeadKey) -> str:
    """Return in a sentence what a bead's agents did, as far as they told."""
    past = store.settling.look_back(key, LookBack(actions=True))
    history = BeadHistory.of([*past.actions, *past.last_actions])
    return str(history.metrics) if history.recent else ""


def _write_bead(view: dict[str, Any]) -> None:
    output.write(f"{view['project']}/{view['id']}  {view['title']}")
    output.write(f"{view['status']}, {view['type']}, priority {view['priority']}. {view['why']}")
    for name in ("role", "assignee", "labels", "head_sha"):
        if view[name]:
            output.write(f"{name}: {output.cell(view[name])}")
    for sentence in filter(None, (view["role_reason"], view["role_problem"])):
        output.write(sentence)
    _write_runner(view["runner"])
    if view["routed_title"]:
        output.write(f"with its route: {view['routed_title']}")
    if view["commits"]["count"]:
        output.write(f"commits: {view['commits_text']}")
    if view["progress"]:
        output.write(f"progress: {view['progress']}")
    if view["description"]:
        output.write(f"\n{view['description'].rstrip()}")
    _write_part("workflow", list(where_lines(view["workflow"])) if view["workflow"] else [])
    if view["pull_request"]:
        _write_part("pull request", _pull_request_lines(view["pull_request"]))
    _write_part("waits for or belongs to", [_edge_line(edge) for edge in view["dependencies"]])
    _write_part("named by", [_edge_line(edge) for edge in view["dependents"]])
    _write_part("runs, newest first", [line for run in view["runs"] for line in _run_lines(run)])
    _write_part(
        "last actions of the newest run",
        [
            f"{output.moment(action['at'])}  {action['type']}  {output.cell(action['data'])}"
            for action in view["actions"][-SHOWN_ACTIONS:]
        ],
    )
    _write_part(
        "errors",
        [f"{output.moment(error['at'])}  attempt {error['attempt']}: {error['error']}" for error in view["errors"]],
    )


def _write_runner(runner: dict[str, Any] | None) -> None:
    if not runner:
        return
    output.write(f"runner: {runner['name']}; {runner['reason']}")
    if "provider" in runner:
        output.write(f"provider: {runner['provider']}; {runner['provider_reason']}")


def _write_part(heading: str, lines: list[str]) -> None:
    if lines:
        output.write(f"\n{heading}:")
        for line in lines:
            output.write(f"  {line}")


def _pull_request_lines(found: dict[str, Any]) -> list[str]:
    where = f"{found['branch']} at {found['commit'][:12]}, into {found['base']}"
    if found["ended"]:
        return [f"{where}: {found['ended']}", *filter(None, [found["url"]])]
    return [where, found["told"] if found["is_pushed"] else "It is about to be pushed."]


def _edge_line(edge: dict[str, Any]) -> str:
    return f"{edge['id']}  {edge['type']}  {edge['status'] or 'not in this project'}"


def _run_lines(run: dict[str, Any]) -> list[str]:
    since = output.moment(run["created_at"])
    line = f"{run['id']}  attempt {run['attempt']}  {run['state']}  {run['agent']}  {since}  {run['outcome_text']}"
    on = [f"  on the provider {run['provider']}"] if run["provider"] else []
    return [line, *on, *(f"  was told lesson {lesson['id']}: {lesson['title']}" for lesson in run["lessons"])]


def _moment(text: str) -> datetime:
    try:
        moment = parse_time(text)
    except ValueError:
        moment = None
    if moment is None:
        raise UsageError(
            problem=f"--now {text!r} is no moment",
            cure="Write one such as 2026-09-25T00:00Z; without an offset it is UTC.",
        )
    return moment
