"""The checker's verdict on random graphs, against what a plain matrix says; and no text makes it fail."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.routing import role_names
from dispatch.settings import Settings
from dispatch.workflow.library import Definition, read_text

ROLES = role_names(Settings(home=Path("/nowhere")))
Edges = list[tuple[int, int | None, int | None]]
"""Of each node where it leads on success, and perhaps on failure and timeout; the number after the last is the end."""


@st.composite
def graphs(draw: st.DrawFn) -> Edges:
    size = draw(st.integers(min_value=1, max_value=7))
    targets = st.integers(min_value=0, max_value=size)
    maybe = st.none() | targets
    return draw(st.lists(st.tuples(targets, maybe, maybe), min_size=size, max_size=size))


def read(edges: Edges, cycle_limit: int = 3) -> Definition:
    names = [*(f"n{number}" for number in range(len(edges))), "done"]
    lines = ['name = "w"', 'start = "n0"', f"cycle_limit = {cycle_limit}"]
    for name, targets in zip(names, edges, strict=False):
        lines += [f"[nodes.{name}]", f"[nodes.{name}.on]"]
        pairs = zip(("success", "failure", "timeout"), targets, strict=True)
        lines += [f'{condition} = "{names[target]}"' for condition, target in pairs if target is not None]
    return read_text("w.toml", "\n".join(lines), ROLES)


def closure(edges: Edges) -> list[list[bool]]:
    """Return for each pair of nodes whether one or more edges lead from the first to the second."""
    size = len(edges) + 1
    leads = [[column in targets for column in range(size)] for targets in edges] + [[False] * size]
    for via in range(size):
        for row in range(size):
            for column in range(size):
                leads[row][column] = leads[row][column] or (leads[row][via] and leads[via][column])
    return leads


@given(graphs())
@settings(max_examples=200, deadline=None)
def test_a_definition_is_whole_exactly_when_every_node_is_reached_and_has_a_way_out(edges: Edges) -> None:
    leads, end = closure(edges), len(edges)
    unreached = {f"n{node}" for node in range(1, end) if not leads[0][node]}
    stuck = {f"n{node}" for node in range(end) if not leads[node][end]} - unreached

    definition = read(edges)

    told = {fault.problem for fault in definition.faults}
    assert told == {f'no edge leads to "{name}" from the start' for name in unreached} | {
        f'there is no way out of "{name}": no edges lead from it to done' for name in stuck
    }
    assert (definition.workflow is None) == bool(unreached or stuck)


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_where_nobody_may_come_back_every_edge_of_a_loop_is_a_fault(edges: Edges) -> None:
    leads, end = closure(edges), len(edges)
    reached = [node for node in range(end) if node == 0 or leads[0][node]]
    back = sum(
        target is not None and (target == node or leads[target][node]) for node in reached for target in edges[node]
    )

    faults = [fault for fault in read(edges, cycle_limit=0).faults if "leads back" in fault.problem]

    assert len(faults) == back


KEYS = st.sampled_from(
    ["name", "start", "cycle_limit", "nodes", "chosen_by", "kind", "on", "success", "a", "done", "x"]
)
VALUES = st.recursive(
    st.sampled_from(["a", "done", "task", "verify", "approval", "3m", "-1h", "\0", ""]) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def toml(value: object) -> str:
    match value:
        case dict():
            return f"{{ {', '.join(f'{key} = {toml(inner)}' for key, inner in value.items())} }}"
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case bool():
            return str(value).lower()
        case str():
            return '"\\u0000"' if value == "\0" else f'"{value}"'
        case _:
            return str(value)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=200, deadline=None)
def test_whatever_is_written_is_a_workflow_or_a_fault_in_one_of_its_lines(document: dict[str, object]) -> None:
    lines = [f"{key} = {toml(value)}" for key, value in document.items()]

    definition = read_text("w.toml", "\n".join(lines), ROLES)

    assert (definition.workflow is None) == bool(definition.faults)
    assert all(1 <= fault.line <= max(1, len(lines)) for fault in definition.faults)
    assert all(fault.problem and fault.cure.endswith((".", "?")) for fault in definition.faults)
