"""What the keys of a definition mean together: names that must be there, edges that must lead on and out."""

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from dispatch.models.workflow import DONE, Condition, NodeKind
from dispatch.settings import format_duration, normal_name
from dispatch.settings.nearest import did_you_mean
from dispatch.workflow.faults import Fault
from dispatch.workflow.reading import Draft, NodeText

MOST_NODES = 64
LONGEST_NAME = 60
LONGEST_DESCRIPTION = 500
LONGEST_INSTRUCTIONS = 10_000
LONGEST_WORD = 100
MOST_WORDS = 64
LONGEST_TIMEOUT = timedelta(days=30)

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAMES = "Use lower-case words joined by hyphens"
_ENDS = frozenset({Condition.SUCCESS, Condition.FAILURE, Condition.TIMEOUT})
_SAYS = frozenset({Condition.APPROVED, Condition.REJECTED})
_CONDITIONS: Mapping[NodeKind, frozenset[Condition]] = {
    NodeKind.TASK: _ENDS,
    NodeKind.COMMIT: _ENDS,
    NodeKind.VERIFY: _ENDS | _SAYS,
    NodeKind.APPROVAL: _SAYS | {Condition.TIMEOUT},
}
"""What a node of each kind can come to."""
_NEEDED: Mapping[NodeKind, tuple[tuple[Condition, ...], ...]] = {
    NodeKind.TASK: ((Condition.SUCCESS,),),
    NodeKind.COMMIT: ((Condition.SUCCESS,),),
    NodeKind.VERIFY: ((Condition.APPROVED, Condition.SUCCESS), (Condition.REJECTED, Condition.FAILURE)),
    NodeKind.APPROVAL: ((Condition.APPROVED,), (Condition.REJECTED,)),
}
"""The edges that a node of each kind must have; of several that stand for each other, one."""
_ONLY_OF: Mapping[str, tuple[frozenset[NodeKind], str]] = {
    "reviewers": (frozenset({NodeKind.VERIFY}), "only a verify node has reviewers"),
    "quorum": (frozenset({NodeKind.VERIFY}), "only the reviewers of a verify node vote"),
    "role": (frozenset(NodeKind) - {NodeKind.APPROVAL}, "a human approves, whatever the role"),
    "max_attempts": (frozenset(NodeKind) - {NodeKind.APPROVAL}, "an approval is asked for once, and does not fail"),
}
"""Keys that mean something only in nodes of some kinds, and why not in others."""


def find_faults(draft: Draft, roles: Collection[str]) -> list[Fault]:
    """Find all that is wrong with a definition, in the order of its lines.

    `roles` are the names by which a role may be called, in normal form. What follows from another fault is not told.
    """
    faults = [*draft.faults, *_head(draft), *_choice(draft)]
    for name, node in draft.text.nodes.items():
        faults += [*_node(draft, name, node), *_role(draft, name, node, roles), *_targets(draft, name, node)]
        if not draft.is_broken("nodes", name, "kind"):
            faults += [*_kind(draft, name, node), *_conditions(draft, name, node)]
    if _is_whole(draft):
        faults += _ways(draft)
    return sorted(faults)


def _head(draft: Draft) -> Iterator[Fault]:
    text, lines = draft.text, draft.lines
    if not text.name and not draft.is_broken("name"):
        yield Fault(lines.of("name"), "it has no name", 'Add name = "..." at the top.')
    elif text.name and not _is_name(text.name):
        yield Fault(lines.of("name"), f'"{text.name[:LONGEST_NAME]}" cannot be the name of a workflow', _name_cure())
    if len(text.description) > LONGEST_DESCRIPTION:
        yield _too_long(lines.of("description"), "the description", text.description, LONGEST_DESCRIPTION)
    if not draft.node_names:
        if not draft.is_broken("nodes"):
            yield Fault(lines.of("nodes"), "it has no nodes", "Add a section [nodes.<name>] for each.")
        return
    if len(draft.node_names) > MOST_NODES:
        problem = f"it has {len(draft.node_names)} nodes, and {MOST_NODES} are allowed"
        yield Fault(lines.of("nodes", draft.node_names[MOST_NODES]), problem, "Make two workflows of it.")
    if not text.start and not draft.is_broken("start"):
        yield Fault(lines.of("start"), "it does not say where it starts", f'Add start = "{draft.node_names[0]}".')
    elif text.start and text.start not in draft.node_names:
        cure = did_you_mean(text.start, draft.node_names) or f"Name one of its nodes: {_listed(draft.node_names)}."
        yield Fault(lines.of("start"), f'it starts at the unknown node "{text.start}"', cure)


def _choice(draft: Draft) -> Iterator[Fault]:
    chosen_by = draft.text.chosen_by
    for key, words in (("types", chosen_by.types), ("labels", chosen_by.labels), ("title", chosen_by.title)):
        line = draft.lines.of("chosen_by", key)
        if len(words) > MOST_WORDS:
            yield Fault(line, f"chosen_by.{key} has {len(words)} entries", f"Keep at most {MOST_WORDS}.")
        if not all(word.strip() for word in words):
            yield Fault(line, f"chosen_by.{key} has an empty entry", "Remove it.")
        for word in words:
            if len(word) > LONGEST_WORD:
                yield _too_long(line, f"an entry of chosen_by.{key}", word, LONGEST_WORD)


def _node(draft: Draft, name: str, node: NodeText) -> Iterator[Fault]:
    def line(*key: str) -> int:
        return draft.lines.of("nodes", name, *key)

    if name == DONE:
        yield Fault(line(), f'no node can be named "{DONE}", which is where a workflow ends', "Choose another name.")
    elif not _is_name(name):
        yield Fault(line(), f'"{name[:LONGEST_NAME]}" cannot be the name of a node', _name_cure())
    if node.timeout is not None and node.timeout > LONGEST_TIMEOUT:
        problem = f'the timeout of "{name}" ({format_duration(node.timeout)}) is longer than 30 days'
        yield Fault(line("timeout"), problem, "Write a shorter one.")
    if len(node.instructions) > LONGEST_INSTRUCTIONS:
        what = f'what "{name}" tells its agents'
        yield _too_long(line("instructions"), what, node.instructions, LONGEST_INSTRUCTIONS)


def _role(draft: Draft, name: str, node: NodeText, roles: Collection[str]) -> Iterator[Fault]:
    role = normal_name(node.role)
    if role and node.kind is not NodeKind.APPROVAL and role not in roles:
        cure = did_you_mean(role, roles) or f"Add [roles.{role}] to dispatch.toml, or name a role that exists."
        yield Fault(draft.lines.of("nodes", name, "role"), f'"{name}" is for the unknown role "{node.role}"', cure)


def _kind(draft: Draft, name: str, node: NodeText) -> Iterator[Fault]:
    """Find keys that mean nothing in a node of its kind."""
    for key, (kinds, why) in _ONLY_OF.items():
        if key in node.model_fields_set and node.kind not in kinds:
            line = draft.lines.of("nodes", name, key)
            yield Fault(line, f'"{name}" is a node of the kind {node.kind}: {why}', f'Remove "{key}".')
    if node.kind is NodeKind.APPROVAL:
        yield from _silence(draft, name, node)


def _silence(draft: Draft, name: str, node: NodeText) -> Iterator[Fault]:
    """Find a time that a human is given without saying what then, and the reverse."""
    if not draft.has_all_edges(name) or draft.is_broken("nodes", name, "timeout"):
        return
    leads_on = Condition.TIMEOUT in node.on
    if leads_on and node.timeout is None:
        problem = f'"{name}" has an edge for {Condition.TIMEOUT}, and no timeout: a human has any time'
        yield Fault(draft.lines.of("nodes", name, "on", Condition.TIMEOUT), problem, 'Add timeout = "2d", or so.')
    if node.timeout is not None and not leads_on:
        problem = f'"{name}" has a timeout and no edge for it, so that it would go on waiting'
        cure = f'Add {Condition.TIMEOUT} = "..." to its "on", or remove the timeout.'
        yield Fault(draft.lines.of("nodes", name, "timeout"), problem, cure)


def _targets(draft: Draft, name: str, node: NodeText) -> Iterator[Fault]:
    known = (*draft.node_names, DONE)
    for condition, target in node.on.items():
        if target not in known:
            cure = did_you_mean(target, known) or f"Name a node of it, or {DONE}: {_listed(known)}."
            line = draft.lines.of("nodes", name, "on", condition)
            yield Fault(line, f'"{name}" leads to the unknown node "{target}" on {condition}', cure)


def _conditions(draft: Draft, name: str, node: NodeText) -> Iterator[Fault]:
    """Find edges that are never taken, and what is not there to lead on."""

    def line(*key: str) -> int:
        return draft.lines.of("nodes", name, "on", *key)

    possible = [condition for condition in Condition if condition in _CONDITIONS[node.kind]]
    for condition in node.on:
        if condition not in possible:
            problem = f'"{name}" is a node of the kind {node.kind}, which never comes to "{condition}"'
            cure = did_you_mean(condition, possible) or f"It comes to one of: {', '.join(possible)}."
            yield Fault(line(condition), problem, cure)
    if node.kind is NodeKind.VERIFY and {Condition.APPROVED, Condition.SUCCESS} <= set(node.on):
        problem = f'"{name}" has an edge for {Condition.APPROVED}, so that the one for {Condition.SUCCESS} is not taken'
        yield Fault(line(Condition.SUCCESS), problem, "Remove one of them.")
    if draft.has_all_edges(name) and set(node.on) <= set(Condition):
        for wanted in _NEEDED[node.kind]:
            if not any(condition in node.on for condition in wanted):
                problem = f'"{name}" does not say where it leads on {wanted[0]}'
                yield Fault(line(), problem, f'Add {wanted[0]} = "..." to its "on".')


def _is_whole(draft: Draft) -> bool:
    """Tell whether every edge is there and leads somewhere: else what cannot be reached follows from that."""
    if not draft.node_names or draft.is_broken("start") or not all(map(draft.has_all_edges, draft.node_names)):
        return False
    known = {*draft.node_names, DONE}
    targets = (target for node in draft.text.nodes.values() for target in node.on.values())
    return draft.text.start in draft.node_names and DONE not in draft.node_names and known.issuperset(targets)


def _ways(draft: Draft) -> Iterator[Fault]:
    """Find nodes that no bead reaches, or leaves for the end; and where nobody may come back, what leads back."""
    targets = {name: tuple(node.on.values()) for name, node in draft.text.nodes.items()}
    sources: dict[str, list[str]] = {name: [] for name in (*targets, DONE)}
    for name, following in targets.items():
        for target in following:
            sources[target].append(name)
    reached, with_way_out = reachable(targets, draft.text.start), reachable(sources, DONE)
    for name in targets:
        line = draft.lines.of("nodes", name)
        if name not in reached:
            yield Fault(line, f'no edge leads to "{name}" from the start', "Lead one there, or remove the node.")
        elif targets[name] and name not in with_way_out:
            problem = f'there is no way out of "{name}": no edges lead from it to {DONE}'
            yield Fault(line, problem, f'Lead one of them to "{DONE}".')
    if draft.text.cycle_limit == 0:
        yield from _returns(draft, targets, reached)


def _returns(draft: Draft, targets: Mapping[str, Sequence[str]], reached: Collection[str]) -> Iterator[Fault]:
    for name, node in draft.text.nodes.items():
        for condition, target in node.on.items():
            if name in reached and name in reachable(targets, target):
                problem = (
                    f'on {condition} "{name}" leads back to "{target}", and cycle_limit = 0 lets no bead come back'
                )
                line = draft.lines.of("nodes", name, "on", condition)
                yield Fault(line, problem, "Write a cycle_limit of 1 or more, or lead it on.")


def reachable(edges: Mapping[str, Iterable[str]], start: str) -> frozenset[str]:
    """Return the nodes to which edges lead from a node, itself included."""
    seen, waiting = {start}, deque([start])
    while waiting:
        for target in edges.get(waiting.popleft(), ()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return frozenset(seen)


def _is_name(name: str) -> bool:
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def _name_cure() -> str:
    return f"{_NAMES}, {LONGEST_NAME} characters at most."


def _too_long(line: int, what: str, text: str, longest: int) -> Fault:
    return Fault(line, f"{what} has {len(text)} characters, and {longest} are allowed", "Shorten it.")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
