"""Loose ends and cycles."""

import itertools
import time

import pytest

from dispatch.interop import cycle_through, graph_problems
from dispatch.models.bead import Dependency


def edge(owner, target, kind="blocks", metadata=""):
    return Dependency(issue_id=owner, depends_on_id=target, type=kind, metadata=metadata)


def said(open_ids, edges, done_ids=()):
    beads = [(bead_id, False) for bead_id in open_ids.split()] + [(bead_id, True) for bead_id in done_ids]
    problems = graph_problems(beads, edges)
    assert not any(problem.fatal for problem in problems)
    return [str(problem) for problem in problems]


STUCK = "remove an edge of the cycle; until then these beads are stuck"


def test_a_graph_without_faults_has_no_problems():
    assert said("a b c", [edge("a", "b"), edge("b", "c"), edge("a", "c"), edge("a", "c", "parent-child")]) == []


def test_a_target_that_does_not_exist_is_told():
    assert said("a", [edge("a", "gone")]) == [
        "a: depends on gone (blocks), which does not exist; it holds nothing back; correct or remove the edge"
    ]


def test_a_target_of_another_project_is_told_mildly():
    assert said("a", [edge("a", "external:lib:api")]) == [
        "a: depends on external:lib:api (blocks), which another project keeps; it does not hold the bead back here"
    ]


def test_loose_ends_that_could_not_block_are_not_told():
    assert said("a", [edge("a", "gone", "related"), edge("z", "gone")], done_ids=["z"]) == []


@pytest.mark.parametrize("kind", ["blocks", "conditional-blocks"])
def test_a_cycle_is_told_once_as_a_path(kind):
    assert said("a b c d", [edge("a", "b"), edge("b", "c", kind), edge("c", "a"), edge("d", "a")]) == [
        f"a: waits for itself: a -> b -> c -> a; {STUCK}"
    ]


def test_a_bead_that_blocks_itself_is_a_cycle_of_one():
    assert said("a", [edge("a", "a")]) == [f"a: waits for itself: a -> a; {STUCK}"]


def test_cycles_that_hang_together_are_one_warning_that_names_each_bead_once():
    edges = [edge("a", "b"), edge("b", "a"), edge("b", "c"), edge("c", "b"), edge("x", "y"), edge("y", "x")]
    assert sorted(said("a b c x y", edges)) == [
        f"a: waits for itself: a -> b -> a (c caught in it too); {STUCK}",
        f"x: waits for itself: x -> y -> x; {STUCK}",
    ]


def test_a_done_bead_breaks_the_cycle():
    assert said("a c", [edge("a", "b"), edge("b", "c"), edge("c", "a")], done_ids=["b"]) == []


def test_edges_that_do_not_block_make_no_cycle():
    assert said("a b", [edge("a", "b"), edge("b", "a", "related")]) == []


def test_a_parent_that_waits_for_its_own_child_is_stuck():
    assert said("epic task", [edge("task", "epic", "parent-child"), edge("epic", "task")]) == [
        f"epic: waits for itself: epic -> task -> epic; {STUCK}"
    ]


def test_parents_of_each_other_are_a_mistake_that_blocks_nobody():
    assert said("a b", [edge("a", "b", "parent-child"), edge("b", "a", "parent-child")]) == [
        "a: is its own ancestor: a -> b -> a; remove one of these parent-child edges"
    ]


def test_waiting_for_children_that_wait_for_the_waiter_is_a_cycle():
    edges = [edge("join", "epic", "waits-for"), edge("task", "epic", "parent-child"), edge("task", "join")]
    assert said("join epic task", edges) == [f"join: waits for itself: join -> task -> join; {STUCK}"]
    assert said("join task", edges, done_ids=["epic"]) == [f"join: waits for itself: join -> task -> join; {STUCK}"]


def test_a_wait_that_any_child_ends_makes_no_cycle():
    any_child = edge("join", "epic", "waits-for", '{"gate": "any-children"}')
    assert said("join epic task", [any_child, edge("task", "epic", "parent-child"), edge("task", "join")]) == []


def test_a_long_cycle_is_told_in_short():
    ids = [f"b{number}" for number in range(50)]
    (text,) = said(" ".join(ids), [edge(a, b) for a, b in zip(ids, [*ids[1:], ids[0]], strict=True)])
    assert "b18 -> b19 -> ... -> b0;" in text
    crowd = [pair for bead_id in ids[1:] for pair in (edge("b0", bead_id), edge(bead_id, "b0"))]
    (text,) = said(" ".join(ids), crowd)
    assert "and 28 more caught in it too" in text


def test_ten_thousand_beads_in_one_chain_or_one_ring_are_quick():
    ids = [f"b{number}" for number in range(10_000)]
    chain = [edge(a, b) for a, b in itertools.pairwise(ids)]
    started = time.process_time()
    assert graph_problems([(bead_id, False) for bead_id in ids], chain) == []
    assert len(graph_problems([(bead_id, False) for bead_id in ids], [*chain, edge(ids[-1], ids[0])])) == 1
    assert len(cycle_through(edge(ids[-1], ids[0]), chain)) == 10_001
    assert time.process_time() - started < 2.0


def test_many_small_cycles_and_one_crowded_one_are_quick():
    pairs = [(f"a{number}", f"b{number}") for number in range(5_000)]
    crowd = [f"c{number}" for number in range(10_000)]
    edges = [found for a, b in pairs for found in (edge(a, b), edge(b, a))]
    edges += [found for bead_id in crowd[1:] for found in (edge("c0", bead_id), edge(bead_id, "c0"))]
    beads = [(bead_id, False) for bead_id in [*itertools.chain.from_iterable(pairs), *crowd]]
    started = time.process_time()
    assert len(graph_problems(beads, edges)) == 5_001
    assert time.process_time() - started < 2.0


def test_an_edge_that_would_close_a_cycle_is_found_with_the_shortest_way_round():
    edges = [edge("b", "c"), edge("c", "a"), edge("b", "x"), edge("x", "y"), edge("y", "a")]
    assert cycle_through(edge("a", "b"), edges) == ["a", "b", "c", "a"]
    assert cycle_through(edge("a", "a"), []) == ["a", "a"]


def test_an_edge_that_closes_no_cycle_is_let_in():
    assert cycle_through(edge("a", "b"), [edge("b", "c"), edge("a", "c"), edge("x", "y"), edge("y", "x")]) is None
    assert cycle_through(edge("a", "b", "related"), [edge("b", "a")]) is None


def test_a_new_parent_can_close_a_cycle_on_either_side():
    assert cycle_through(edge("task", "epic", "parent-child"), [edge("epic", "task")]) == ["task", "epic", "task"]
    waiting = [edge("join", "epic", "waits-for"), edge("task", "join")]
    assert cycle_through(edge("task", "epic", "parent-child"), waiting) == ["task", "join", "task"]
