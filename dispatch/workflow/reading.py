"""The text of a definition, key by key: what it holds, and what is wrong with the form of it.

What the keys mean together is for `checking`. Source: `docs/workflows.md`.
"""

import copy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from dispatch.models.workflow import (
    DEFAULT_CYCLE_LIMIT,
    DEFAULT_MAX_ATTEMPTS,
    Condition,
    Node,
    NodeKind,
    Quorum,
    Workflow,
)
from dispatch.settings import normal_name
from dispatch.settings.fields import Arguments, OptionalDuration, Section, refusal
from dispatch.settings.problems import words_of
from dispatch.settings.toml_lines import KeyPath, key_lines, syntax_fault
from dispatch.workflow.faults import Fault, Lines

MOST_REVIEWERS = 20
MOST_ATTEMPTS = 20
MOST_CYCLES = 20


def _between(low: int, high: int) -> AfterValidator:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise refusal(f"is not between {low} and {high}", f"Write a number from {low} to {high}.")
        return value

    return AfterValidator(check)


def _storable(value: str) -> str:
    if "\0" in value:
        raise refusal("holds a NUL character", "Remove it.")
    return value


def _all_storable(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_storable, values))


_Text = Annotated[str, AfterValidator(_storable)]
_Texts = Annotated[Arguments, AfterValidator(_all_storable)]
_Whole = Annotated[int, Field(strict=True)]


class ChoiceText(Section):
    """The section `[chosen_by]`."""

    types: _Texts = ()
    labels: _Texts = ()
    title: _Texts = ()


class NodeText(Section):
    """A section `[nodes.<name>]`."""

    kind: NodeKind = NodeKind.TASK
    role: _Text = ""
    instructions: _Text = ""
    reviewers: Annotated[_Whole, _between(1, MOST_REVIEWERS)] = 1
    quorum: Quorum = Quorum.MAJORITY
    max_attempts: Annotated[_Whole, _between(1, MOST_ATTEMPTS)] = DEFAULT_MAX_ATTEMPTS
    timeout: OptionalDuration = None
    on: Mapping[str, str] = Field(default_factory=dict)


class DefinitionText(Section):
    """A whole file. What it must have is missed by `checking`, so that all faults are told at once."""

    name: _Text = ""
    description: _Text = ""
    start: _Text = ""
    cycle_limit: Annotated[_Whole, _between(0, MOST_CYCLES)] = DEFAULT_CYCLE_LIMIT
    chosen_by: ChoiceText = ChoiceText()
    nodes: Mapping[str, NodeText] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What could be read of a definition: every key that has the right form, and the faults of the others.

    `broken` are the paths that were left out, and `node_names` all nodes, those included of which nothing is left.
    """

    text: DefinitionText = field(default_factory=DefinitionText)
    lines: Lines
    faults: tuple[Fault, ...] = ()
    broken: frozenset[KeyPath] = frozenset()
    node_names: tuple[str, ...] = ()

    def is_broken(self, *path: str) -> bool:
        """Tell whether a key, or something in it, or a table around it, was left out."""
        return any(path[: len(one)] == one[: len(path)] for one in self.broken)

    def has_all_edges(self, name: str) -> bool:
        """Tell whether the edges of a node are all there: none was left out, and no unknown key may have meant them."""
        others = NodeText.model_fields.keys() - {"on"}
        whole = (("nodes",), ("nodes", name))
        return not any(path in whole or (path[:2] == ("nodes", name) and path[2] not in others) for path in self.broken)


def read_draft(text: str) -> Draft | Fault:
    """Read the text of a definition; a `Fault` when it is not TOML at all."""
    try:
        data = tomllib.loads(text)
        lines = Lines(key_lines(text))
    except tomllib.TOMLDecodeError as broken:
        line, problem = syntax_fault(text, broken)
        return Fault(line, f"is not TOML: {problem}", "Correct that line.")
    except RecursionError:
        return Fault(1, "is nested too deeply", "Write the tables and lists of a workflow, and nothing inside them.")
    return _draft(data, lines)


def workflow_of(draft: Draft, roles: Mapping[str, str]) -> Workflow:
    """Return the workflow of a draft in which no fault was found; its roles are the names that `roles` has for them."""
    text = draft.text
    return Workflow(
        name=text.name,
        start=text.start,
        nodes={name: _node(name, node, roles) for name, node in text.nodes.items()},
        description=text.description.strip(),
        cycle_limit=text.cycle_limit,
        types=text.chosen_by.types,
        labels=text.chosen_by.labels,
        title_words=text.chosen_by.title,
    )


def _draft(data: dict[str, Any], lines: Lines) -> Draft:
    nodes = data.get("nodes")
    names = tuple(nodes) if isinstance(nodes, dict) else ()
    try:
        return Draft(text=DefinitionText.model_validate(data), lines=lines, node_names=names)
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
    left, faults, broken = copy.deepcopy(data), [], set()
    for error in errors:
        path = _leave_out(left, error["loc"])
        faults.append(Fault(lines.of(*path), *words_of(error, DefinitionText)))
        broken.add(path)
    return Draft(
        text=DefinitionText.model_validate(left),
        lines=lines,
        faults=tuple(faults),
        broken=frozenset(broken),
        node_names=names,
    )


def _leave_out(data: dict[str, Any], location: tuple[int | str, ...]) -> KeyPath:
    """Remove the key that a refusal speaks of, the whole list where it is about an element; return its path."""
    holder, path = data, tuple(str(step) for step in location if isinstance(step, str))
    for step in path[:-1]:
        if not isinstance(holder.get(step), dict):
            break
        holder = holder[step]
    holder.pop(path[-1], None)
    return path


def _node(name: str, text: NodeText, roles: Mapping[str, str]) -> Node:
    role = normal_name(text.role)
    return Node(
        name=name,
        kind=text.kind,
        role=roles.get(role, role),
        instructions=text.instructions.strip(),
        reviewers=text.reviewers,
        quorum=text.quorum,
        max_attempts=text.max_attempts,
        timeout=text.timeout,
        edges={Condition(condition): target for condition, target in text.on.items()},
    )
