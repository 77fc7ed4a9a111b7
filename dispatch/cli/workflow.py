"""Workflows: `workflow list`, `workflow show`, `workflow start`, `workflow validate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import BeadArgument, JsonOption
from dispatch.cli.workflow_view import execution_view, where_lines
from dispatch.errors import BadInputError, NotFoundError
from dispatch.models.workflow import Node, Workflow
from dispatch.results import WorkflowEngine
from dispatch.routing import role_names, role_of_persona
from dispatch.settings import Settings, normal_name
from dispatch.settings.nearest import did_you_mean
from dispatch.workflow.drawing import drawn, in_order, meant_for, mermaid
from dispatch.workflow.library import Definition, load_workflows, read_definitions, read_file


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The stages that a bead goes through, where one run is not enough.")
    group.command("list", epilog="Example: `dispatch workflow list`")(list_workflows)
    group.command("show", epilog="Example: `dispatch workflow show feature --mermaid`")(show)
    group.command("start", epilog="Example: `dispatch workflow start shop-1a2b feature`")(start)
    group.command("validate", epilog="Example: `dispatch workflow validate workflows/release.toml`")(validate)
    app.add_typer(group, name="workflow")


def list_workflows(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the workflows there are: the built-in ones, and those of the directory that the settings name."""
    settings = CommandContext.of(context).settings
    definitions = read_definitions(settings, role_names(settings))
    if as_json:
        output.write_json([_definition_view(definition) for definition in definitions])
        return
    output.write_table(("name", "what for", "defined in"), [_row(one) for one in definitions], empty="")


def show(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME|BEAD", help="A workflow, or a bead that is in one.", show_default=False)
    ],
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="Draw it as a Mermaid flowchart.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a workflow: its nodes in order, who does each, and where each leads on what. Of a bead also where it is."""
    command = CommandContext.of(context)
    workflow = load_workflows(command.settings, role_names(command.settings)).get(normal_name(name))
    where = None
    if workflow is None:
        workflow, where = _of_bead(command, name)
    if as_json:
        output.write_json(workflow_view(workflow) | ({"bead": where} if where is not None else {}))
        return
    for line in where_lines(where) if where is not None and not as_mermaid else ():
        output.write(line)
    for line in mermaid(workflow) if as_mermaid else drawn(workflow):
        output.write(line)


def start(
    context: typer.Context,
    bead: BeadArgument,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The workflow; else the one that the bead asks for.")
    ] = "",
    again: Annotated[bool, typer.Option("--again", help="Begin anew, though it is in a workflow already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a bead go through a workflow, from its first node on."""
    command = CommandContext.of(context)
    with command.store() as store:
        execution = WorkflowEngine(store, command.settings).start(bead, normal_name(name), again=again)
        key = store.reading.resolve(bead)
        command.nudge(store)
    if as_json:
        output.write_json(
            {"id": key.bead_id, "project": key.project_id, "workflow": execution.workflow.name}
            | {"node": execution.node}
        )
        return
    output.write(f"{key} begins the workflow {execution.workflow.name} at {execution.node}.")


def validate(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Definitions; without any, all that there are.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell all that is wrong with definitions, each with its file and line. Exit code 6 when anything is."""
    settings = CommandContext.of(context).settings
    roles = role_names(settings)
    definitions = [read_file(path, roles) for path in files] if files else read_definitions(settings, roles)
    if as_json:
        output.write_json([_validation_view(definition) for definition in definitions])
    else:
        _tell(definitions, settings)
    if any(definition.faults for definition in definitions):
        raise typer.Exit(BadInputError.exit_code)


def workflow_view(workflow: Workflow) -> dict[str, Any]:
    """Return a workflow as JSON has it, the nodes in the order of a bead's way."""
    return {
        "name": workflow.name,
        "description": workflow.description,
        "start": workflow.start,
        "cycle_limit": workflow.cycle_limit,
        "chosen_by": {"types": workflow.types, "labels": workflow.labels, "title": workflow.title_words},
        "nodes": [_node_view(workflow.nodes[name]) for name in in_order(workflow)],
    }


def _node_view(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "kind": node.kind,
        "role": node.role,
        "instructions": node.instructions,
        "reviewers": node.reviewers,
        "quorum": node.quorum,
        "max_attempts": node.max_attempts,
        "timeout_seconds": node.timeout.total_seconds() if node.timeout is not None else None,
        "on": node.edges,
    }


def _of_bead(command: CommandContext, name: str) -> tuple[Workflow, dict[str, Any]]:
    """Return the workflow that a bead is in, or was at last, and where it is. Raises `NotFoundError`."""
    workflows = load_workflows(command.settings, role_names(command.settings))
    meant, there = did_you_mean(name, workflows), f"There are: {', '.join(sorted(workflows))}."
    cure = f"{meant} {there}".strip()
    with command.store() as store:
        try:
            key = store.reading.resolve(name)
        except NotFoundError as unknown:
            raise NotFoundError(thing="workflow or bead", name=name, cure=cure) from unknown
        execution, view = store.workflows.execution(key), execution_view(store, key)
    if execution is None or view is None:
        raise NotFoundError(thing="workflow of the bead", name=str(key), cure=f"`dispatch workflow start {key} NAME`.")
    return execution.workflow, view


def _row(definition: Definition) -> tuple[str, str, str]:
    place = "built in" if definition.is_built_in else definition.place
    if definition.workflow is None:
        return definition.name, f"faulty: {definition.told[0]}", place
    workflow = definition.workflow
    return workflow.name, f"{workflow.description} {meant_for(workflow)}".strip(), place


def _definition_view(definition: Definition) -> dict[str, Any]:
    workflow = definition.workflow
    return {
        **_validation_view(definition),
        "built_in": definition.is_built_in,
        "description": workflow.description if workflow is not None else "",
        "nodes": in_order(workflow) if workflow is not None else [],
    }


def _validation_view(definition: Definition) -> dict[str, Any]:
    return {"name": definition.name, "file": definition.place, "faults": definition.faults}


def _tell(definitions: Sequence[Definition], settings: Settings) -> None:
    for definition in definitions:
        for line in definition.told:
            output.write(line)
        for name, role in _unserved(definition.workflow, settings):
            output.say(f"{definition.place}: note: {name} is for {role}, and dispatch.toml has no such role.")
    faults = sum(len(definition.faults) for definition in definitions)
    checked = "1 definition" if len(definitions) == 1 else f"{len(definitions)} definitions"
    found = {0: "no fault", 1: "1 fault"}.get(faults, f"{faults} faults")
    output.say(f"{checked}, {found}.")


def _unserved(workflow: Workflow | None, settings: Settings) -> list[tuple[str, str]]:
    """Return the nodes of a workflow whose role is not configured here; another host may serve it all the same."""
    if workflow is None or not settings.roles:
        return []
    named = [(name, workflow.nodes[name].role) for name in in_order(workflow) if workflow.nodes[name].role]
    return [(name, role) for name, role in named if role_of_persona(role, settings) not in settings.roles]
