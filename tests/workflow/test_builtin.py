"""The definitions that ship with dispatch, and the one that the page on workflows shows."""

from collections import Counter
from pathlib import Path

import pytest

from dispatch.models.workflow import DONE, Condition, Execution, NodeKind, Quorum, Workflow
from dispatch.routing import DEFAULT_PERSONAS, role_names
from dispatch.settings import Settings
from dispatch.workflow.library import BUILT_IN, built_in_definition, read_text
from dispatch.workflow.moving import advance, begin
from dispatch.workflow.reading import ChoiceText, DefinitionText, NodeText

ROLES = role_names(Settings(home=Path("/nowhere")))
PAGE = (Path(__file__).parents[2] / "docs/workflows.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.partition("<!-- example: release.toml -->\n```toml\n")[2].partition("```")[0]
OUTCOMES = {
    NodeKind.TASK: (Condition.SUCCESS, Condition.FAILURE, Condition.TIMEOUT),
    NodeKind.COMMIT: (Condition.SUCCESS, Condition.FAILURE, Condition.TIMEOUT),
    NodeKind.VERIFY: (Condition.APPROVED, Condition.REJECTED, Condition.FAILURE, Condition.TIMEOUT),
    NodeKind.APPROVAL: (Condition.APPROVED, Condition.REJECTED),
}


def shipped(name: str) -> Workflow:
    definition = read_text("docs", EXAMPLE, ROLES) if name == "release" else built_in_definition(name, ROLES)
    assert definition.workflow is not None, definition.told
    return definition.workflow


def key(execution: Execution) -> tuple[object, ...]:
    return execution.node, execution.attempts, tuple(sorted(Counter(execution.visited).items()))


@pytest.mark.parametrize("name", [*BUILT_IN, "release"])
def test_every_way_through_comes_to_an_end(name: str) -> None:
    """Whatever each node comes to, every move leads nearer to the end, or to a human."""
    workflow = shipped(name)
    first = begin(workflow)
    waiting, seen, ends = [first], {key(first)}, Counter[str]()
    while waiting:
        execution = waiting.pop()
        node = execution.current
        assert node is not None
        conditions = OUTCOMES[node.kind]
        if node.kind is NodeKind.APPROVAL and Condition.TIMEOUT in node.edges:
            conditions += (Condition.TIMEOUT,)
        for condition in conditions:
            move = advance(execution, condition)
            after = move.applied_to(execution)
            assert (len(after.visited), after.attempts) > (len(execution.visited), execution.attempts) or move.escalates
            if move.escalates or move.is_through:
                ends["a human" if move.escalates else DONE] += 1
            elif key(after) not in seen:
                seen.add(key(after))
                waiting.append(after)
    assert ends["a human"]
    assert ends[DONE]


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_built_in_tells_every_node_what_to_do_and_names_default_personas(name: str) -> None:
    workflow = shipped(name)

    assert workflow.name == name
    assert workflow.description
    assert all(len(node.instructions) > 100 for node in workflow.nodes.values())
    roles = {node.role for node in workflow.nodes.values() if node.role}
    assert roles <= {persona.name for persona in DEFAULT_PERSONAS}


def test_what_lands_was_read_by_somebody_else() -> None:
    for name in BUILT_IN:
        nodes = shipped(name).nodes
        to_the_end = {one.name for one in nodes.values() if DONE in one.edges.values()}
        before = [one for one in nodes.values() if to_the_end & set(one.edges.values()) and one.name not in to_the_end]
        assert to_the_end == {"commit"}
        assert {one.kind for one in before} <= {NodeKind.VERIFY, NodeKind.APPROVAL}


def test_the_page_names_every_key_condition_and_kind() -> None:
    keys = {key for table in (DefinitionText, NodeText, ChoiceText) for key in table.model_fields} - {
        "nodes",
        "chosen_by",
    }
    for word in (*keys, *Condition, *NodeKind, *Quorum, *BUILT_IN, DONE, "[chosen_by]", "[nodes.<name>]"):
        assert f"`{word}`" in PAGE or f"**{word}" in PAGE, word
