"""A workflow as a human reads it: as lines of text, or as a Mermaid flowchart."""

from dispatch.models.workflow import DONE, Node, NodeKind, Quorum, Workflow
from dispatch.settings import format_duration

_INDENT = "  "


def drawn(workflow: Workflow) -> list[str]:
    """Draw a workflow as lines: what it is and for which beads, then each node in the order of a bead's way."""
    heading = f"{workflow.name}: {workflow.description}" if workflow.description else workflow.name
    lines = [heading, *filter(None, [meant_for(workflow)])]
    lines.append(f"A bead may come back to a node {_times(workflow.cycle_limit)} before a human is asked.")
    for name in in_order(workflow):
        lines += ["", *_drawn_node(workflow.nodes[name], is_start=name == workflow.start)]
    return lines


def mermaid(workflow: Workflow) -> list[str]:
    """Draw a workflow as the lines of a Mermaid flowchart."""
    names = in_order(workflow)
    ids = {name: f"n{number}" for number, name in enumerate(names)} | {DONE: DONE}
    lines = ["flowchart TD"]
    for name in names:
        node = workflow.nodes[name]
        opened, closed = ("{{", "}}") if node.kind is NodeKind.APPROVAL else ("[", "]")
        lines.append(f'{_INDENT}{ids[name]}{opened}"{name}<br/>{_kind(node)}"{closed}')
    lines.append(f'{_INDENT}{DONE}(["{DONE}"])')
    for name in names:
        for condition, target in workflow.nodes[name].edges.items():
            lines.append(f"{_INDENT}{ids[name]} -->|{condition}| {ids[target]}")
    return lines


def meant_for(workflow: Workflow) -> str:
    """Say for which beads a workflow is; empty where only a label `workflow:<name>` begins it."""
    by = (("type", workflow.types), ("label", workflow.labels), ("in the title", workflow.title_words))
    told = [f"{what}: {', '.join(words)}" for what, words in by if words]
    return f"For beads by {'; '.join(told)}." if told else ""


def in_order(workflow: Workflow) -> list[str]:
    """Return the names of all nodes, each after the one that first leads to it, from the start on."""
    names = [workflow.start]
    for name in names:
        names += dict.fromkeys(
            target for target in workflow.nodes[name].edges.values() if target != DONE and target not in names
        )
    return names


def _drawn_node(node: Node, *, is_start: bool) -> list[str]:
    lines = [f"{node.name} ({', '.join([_kind(node), *_limits(node)])}){', the start' if is_start else ''}"]
    width = max(map(len, node.edges), default=0)
    return [*lines, *(f"{_INDENT}{condition:<{width}} -> {target}" for condition, target in node.edges.items())]


def _kind(node: Node) -> str:
    if node.kind is NodeKind.APPROVAL:
        return f"{node.kind} by a human"
    who = node.role or ("engineering-manager, if served" if node.kind is NodeKind.COMMIT else "whom the bead asks for")
    if node.kind is not NodeKind.VERIFY:
        return f"{node.kind}: {who}"
    voting = f", {_quorum(node.quorum)}" if node.reviewers > 1 else ""
    return f"{node.kind}: {node.reviewers} x {who}{voting}"


def _quorum(quorum: Quorum) -> str:
    return {
        Quorum.MAJORITY: "most must approve",
        Quorum.ALL: "all must approve",
        Quorum.ANY: "one must approve",
    }[quorum]


def _limits(node: Node) -> list[str]:
    limits = [f"timeout {format_duration(node.timeout)}"] if node.timeout is not None else []
    if node.kind is not NodeKind.APPROVAL:
        limits.append("1 attempt" if node.max_attempts == 1 else f"{node.max_attempts} attempts")
    return limits


def _times(count: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(count, f"{count} times")
