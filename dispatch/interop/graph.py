"""Edges that lead nowhere, and beads that wait for themselves.

A cycle is looked for over arcs "cannot go on before". A `blocks` or `conditional-blocks` edge is one arc. A child is
blocked while its parent is blocked, so `parent-child` is an arc from child to parent; a cycle of nothing but parents
blocks nobody, but is a mistake all the same. `waits-for` waits for the children of its target: an arc to a node that
stands for them all, and from there one to each child. A `waits-for` that any child releases makes no arc, as one
child outside of the cycle lets everybody go on.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dispatch.interop.components import strong_components
from dispatch.interop.entries import Problem
from dispatch.models.bead import BLOCKS_TYPES, PARENT_TYPE, READINESS_TYPES, WAITS_FOR_TYPE, Dependency
from dispatch.models.identity import BeadId

_EXTERNAL = "external:"
_NAMED = 20
"""Members of a cycle that a message names."""


class _Node(NamedTuple):
    bead_id: BeadId
    children: bool = False
    """The node stands for all the children of the bead, not for the bead."""


def graph_problems(beads: Iterable[tuple[BeadId, bool]], dependencies: Iterable[Dependency]) -> list[Problem]:
    """Return warnings about the edges between beads, each given as (id, whether it is done).

    Told are the targets that do not exist, of edges that could otherwise block, and the cycles. Edges of and to done
    beads count for neither. Beads that hang together in several cycles are one warning, so each is named once.
    """
    done = dict(beads)
    live = [edge for edge in dependencies if edge.type in READINESS_TYPES and done.get(edge.issue_id) is False]
    problems = [_dangling(edge) for edge in live if edge.depends_on_id not in done]
    targets = _targets(live)  # a done bead owns no live edge, so that no cycle leads through it
    blocking = {arc for edge in live if edge.type != PARENT_TYPE for arc in _arcs(edge)}
    nodes = [_Node(bead_id) for bead_id, is_done in done.items() if not is_done]
    for members in strong_components(nodes, targets):
        inside = _within(members, targets)
        if inside[members[0]]:
            blocks = any((node, target) in blocking for node in members for target in inside[node])
            problems.append(_cycle_problem(inside, blocks=blocks))
    return problems


def cycle_through(edge: Dependency, edges: Iterable[Dependency]) -> list[BeadId] | None:
    """Return a shortest cycle that `edge` would close among `edges`, or None.

    The cycle begins and ends with the same bead, so that it can be shown as a path. Whether its beads are done does
    not count: one that is reopened would be stuck.
    """
    targets = _targets([*edges, edge])
    for source, target in _arcs(edge):
        way = _shortest_way([target], source, targets)
        if way:
            return _closed(way)
    return None


def _targets(edges: Iterable[Dependency]) -> dict[_Node, list[_Node]]:
    targets: dict[_Node, list[_Node]] = {}
    for edge in edges:
        for source, target in _arcs(edge):
            targets.setdefault(source, []).append(target)
    return targets


def _arcs(edge: Dependency) -> Iterator[tuple[_Node, _Node]]:
    owner, target = _Node(edge.issue_id), _Node(edge.depends_on_id)
    children = target._replace(children=True)
    if edge.type in BLOCKS_TYPES:
        yield owner, target
    elif edge.type == PARENT_TYPE:
        yield owner, target
        yield children, owner
    elif edge.type == WAITS_FOR_TYPE and not edge.any_child_releases:
        yield owner, children


def _within(members: Sequence[_Node], targets: Mapping[_Node, Sequence[_Node]]) -> dict[_Node, list[_Node]]:
    """Return the arcs among the members alone. Only a member of a cycle has any."""
    component = set(members)
    return {node: [target for target in targets.get(node, ()) if target in component] for node in members}


def _shortest_way(starts: Iterable[_Node], goal: _Node, targets: Mapping[_Node, Sequence[_Node]]) -> list[_Node]:
    """Return the nodes from one of `starts` to `goal`, both included; empty when there is no way."""
    came_from: dict[_Node, _Node | None] = dict.fromkeys(starts)
    queue = deque(came_from)
    while queue:
        node = queue.popleft()
        if node == goal:
            return list(reversed(list(_steps_back(node, came_from))))
        for target in targets.get(node, ()):
            if target not in came_from:
                came_from[target] = node
                queue.append(target)
    return []


def _steps_back(node: _Node | None, came_from: Mapping[_Node, _Node | None]) -> Iterator[_Node]:
    while node is not None:
        yield node
        node = came_from[node]


def _bead_ids(nodes: Iterable[_Node]) -> list[BeadId]:
    return [node.bead_id for node in nodes if not node.children]


def _closed(way: Sequence[_Node]) -> list[BeadId]:
    """Return the beads of a cycle with the first at both ends; `way` is the way round, up to its first node."""
    cycle = _bead_ids([way[-1], *way[:-1]])
    return [*cycle, cycle[0]]


def _dangling(edge: Dependency) -> Problem:
    if edge.depends_on_id.startswith(_EXTERNAL):
        said = f"depends on {edge.depends_on_id} ({edge.type}), which another project keeps"
        return Problem(None, edge.issue_id, said, "it does not hold the bead back here", fatal=False)
    said = f"depends on {edge.depends_on_id} ({edge.type}), which does not exist"
    return Problem(None, edge.issue_id, said, "it holds nothing back; correct or remove the edge", fatal=False)


def _cycle_problem(inside: Mapping[_Node, Sequence[_Node]], *, blocks: bool) -> Problem:
    """Tell one cycle of a component as a path, and the other beads that are caught with it."""
    first = next(node for node in inside if not node.children)
    path = _closed(_shortest_way(inside[first], first, inside))
    told = set(path)
    others = [bead_id for bead_id in _bead_ids(inside) if bead_id not in told]
    shown = " -> ".join(path if len(path) <= _NAMED else [*path[:_NAMED], "...", path[-1]])
    caught = f" ({_listed(others)} caught in it too)" if others else ""
    if blocks:
        said, cure = (
            f"waits for itself: {shown}{caught}",
            "remove an edge of the cycle; until then these beads are stuck",
        )
    else:
        said, cure = f"is its own ancestor: {shown}{caught}", "remove one of these parent-child edges"
    return Problem(None, first.bead_id, said, cure, fatal=False)


def _listed(bead_ids: Sequence[BeadId]) -> str:
    more = len(bead_ids) - _NAMED
    return ", ".join(bead_ids[:_NAMED]) + (f" and {more} more" if more > 0 else "")
