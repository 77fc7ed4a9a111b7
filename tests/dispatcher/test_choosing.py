"""Choosing: plain functions over what a round found."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.dispatcher.choosing import answered_hints, choose, lanes, role_for
from dispatch.models.agent import Agent
from dispatch.models.bead import Bead
from dispatch.models.dispatching import Candidate, Lane, Supply
from dispatch.models.identity import AgentId, BeadId, ProjectId, uuid7
from dispatch.models.project import Project
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.settings import Settings

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
SHOP = Project(id=ProjectId("shop"), path=Path("/srv/shop"), prefix="shop")


def _settings(**rest: Any) -> Settings:
    return Settings.model_validate({"home": Path("/srv/home"), **rest})


def _agent(name: str, *roles: str) -> Agent:
    return Agent(id=AgentId(uuid7()), name=name, roles=roles or ("dev",))


def _supply(*agents: Agent, served: Sequence[str] = (), in_use: Mapping[str, int] | None = None, **rest: Any) -> Supply:
    roles = frozenset(served) | {role for agent in agents for role in agent.roles}
    return Supply(agents=agents, served_roles=roles, open_by_role=in_use or {}, **{"projects": (SHOP,), **rest})


def _candidate(
    bead_id: str, role: str | None = "dev", *, priority: int = 2, age: int = 0, timeout: timedelta | None = None
) -> Candidate:
    bead = Bead(
        id=BeadId(bead_id),
        title=bead_id,
        project_id=SHOP.id,
        priority=priority,
        created_at=NOON - timedelta(seconds=age),
    )
    return Candidate(bead=bead, lane=Lane(project_id=SHOP.id, hint=role or "", role=role, limit=9), timeout=timeout)


def _went(plan: Any) -> list[tuple[str, str]]:
    return [(placement.bead.bead_id, placement.agents[0].name) for placement in plan.placements]


# Lanes


def test_there_is_a_lane_for_each_role_with_idle_agents_as_long_as_they_are_many() -> None:
    supply = _supply(_agent("a", "dev"), _agent("b", "dev", "qa"), served=("ops",))
    found = lanes(supply, _settings())
    assert [(lane.hint, lane.role, lane.limit) for lane in found] == [
        ("dev", "dev", 2),
        ("qa", "qa", 1),
        ("", None, 2),
        (UNCLEAR_BUG, None, 2),
    ]


def test_an_alias_has_a_lane_of_its_own_in_its_normal_form() -> None:
    settings = _settings(roles={"dev": {"aliases": ["Backend Engineer", "coder"]}})
    found = lanes(_supply(_agent("a")), settings)
    assert [(lane.hint, lane.role) for lane in found] == [
        ("dev", "dev"),
        ("backend-engineer", "dev"),
        ("coder", "dev"),
        ("", None),
        (UNCLEAR_BUG, None),
    ]


def test_each_project_has_its_lanes_and_a_paused_one_has_none() -> None:
    barn = Project(id=ProjectId("barn"), path=Path("/srv/barn"), prefix="barn", paused=True)
    found = lanes(_supply(_agent("a"), projects=(SHOP, barn)), _settings())
    assert {lane.project_id for lane in found} == {"shop"}


def test_a_paused_system_has_no_lanes() -> None:
    assert lanes(_supply(_agent("a"), paused=True), _settings()) == []


def test_a_paused_role_has_no_lanes_and_nobody_takes_its_beads_in_another_role() -> None:
    settings = _settings(roles={"qa": {"aliases": ("tester",)}}, projects={"shop": {"default_role": "qa"}})
    paused = _supply(_agent("a", "dev", "qa"), paused_roles={"qa": "It learns."})
    assert [(lane.hint, lane.role) for lane in lanes(paused, settings)] == [("dev", "dev")]
    assert {"qa", "tester"} <= answered_hints(_supply(_agent("a", "dev"), paused_roles={"qa": ""}), settings)
    plan = choose([_candidate("a", "qa")], paused, settings)
    assert [refusal.reason for refusal in plan.refusals] == ["The role qa is paused: It learns."]


def test_a_bead_that_any_agent_may_take_runs_in_no_paused_role() -> None:
    supply = _supply(_agent("a", "dev", "qa"), paused_roles={"dev": ""})
    (placement,) = choose([_candidate("a", None)], supply, _settings()).placements
    assert placement.role == "qa"
    everything = _supply(_agent("a", "dev", "qa"), paused_roles={"dev": "", "qa": ""})
    assert lanes(everything, _settings()) == []


def test_without_idle_agents_there_are_no_lanes() -> None:
    assert lanes(_supply(served=("dev",)), _settings()) == []


def test_no_lane_is_longer_than_the_limit() -> None:
    found = lanes(_supply(*(_agent(str(number)) for number in range(5))), _settings(), limit=2)
    assert {lane.limit for lane in found} == {2}


# The default role


@pytest.mark.parametrize(
    ("agents", "served", "expected"),
    [
        pytest.param([("engineering-manager",)], (), "engineering-manager", id="served by an idle agent"),
        pytest.param([("dev",)], ("engineering-manager",), "engineering-manager", id="served, but busy"),
        pytest.param([("dev",)], (), None, id="served by nobody"),
    ],
)
def test_the_default_role_is_the_projects_while_somebody_serves_it(
    agents: list[tuple[str, ...]], served: Sequence[str], expected: str | None
) -> None:
    supply = _supply(*(_agent("a", *roles) for roles in agents), served=served)
    assert role_for("", SHOP.id, supply, _settings()) == expected


def test_the_default_role_may_be_named_by_an_alias() -> None:
    settings = _settings(roles={"dev": {"aliases": ["coder"]}}, projects={"shop": {"default_role": "Coder"}})
    assert role_for("", SHOP.id, _supply(_agent("a")), settings) == "dev"


def test_a_default_role_that_is_busy_has_no_lane_so_that_its_beads_wait_for_it() -> None:
    found = lanes(_supply(_agent("a"), served=("engineering-manager",)), _settings())
    assert [lane.hint for lane in found] == ["dev"]


# Choosing


def test_beads_go_by_priority_then_by_age_then_by_id() -> None:
    found = [
        _candidate("c", priority=2),
        _candidate("b", priority=2),
        _candidate("old", priority=2, age=9),
        _candidate("urgent", priority=0),
    ]
    plan = choose(found, _supply(*(_agent(str(n)) for n in range(4))), _settings())
    assert _went(plan) == [("urgent", "0"), ("old", "1"), ("b", "2"), ("c", "3")]
    assert plan.refusals == ()


def test_the_agent_that_rested_longest_is_taken_first_and_each_once() -> None:
    plan = choose(
        [_candidate("one"), _candidate("two", age=-1), _candidate("three", age=-2)],
        _supply(_agent("rested"), _agent("tired")),
        _settings(),
    )
    assert _went(plan) == [("one", "rested"), ("two", "tired")]
    assert plan.refusals == (), "it was not the turn of the third"


def test_a_bead_goes_to_an_agent_of_its_role_only() -> None:
    plan = choose([_candidate("a", "qa"), _candidate("b", "ops")], _supply(_agent("x"), _agent("y", "qa")), _settings())
    assert _went(plan) == [("a", "y")]


def test_a_bead_that_any_agent_may_take_runs_in_the_first_role_of_its_agent() -> None:
    plan = choose([_candidate("a", None)], _supply(_agent("x", "qa", "dev")), _settings())
    (placement,) = plan.placements
    assert (placement.role, placement.reason) == (
        "qa",
        "It names no role and nobody serves the project's default, so any agent may take it.",
    )


def test_no_more_go_than_the_limit() -> None:
    plan = choose([_candidate("a"), _candidate("b")], _supply(_agent("x"), _agent("y")), _settings(), limit=1)
    assert _went(plan) == [("a", "x")]


def test_a_role_has_no_more_runs_than_slots() -> None:
    settings = _settings(roles={"dev": {"slots": 2}})
    supply = _supply(_agent("x"), _agent("y"), _agent("z", "qa"), in_use={"dev": 1})
    plan = choose([_candidate("a"), _candidate("b"), _candidate("c", "qa")], supply, settings)
    assert _went(plan) == [("a", "x"), ("c", "z")]
    (refusal,) = plan.refusals
    assert (refusal.bead.bead_id, refusal.reason) == ("b", "The role dev has all its slots in use (slots = 2).")


def test_the_system_has_no_more_runs_than_allowed() -> None:
    settings = _settings(dispatch={"max_running": 3})
    supply = _supply(_agent("x"), _agent("y"), in_use={"dev": 1, "qa": 1})
    plan = choose([_candidate("a"), _candidate("b")], supply, settings)
    assert _went(plan) == [("a", "x")]
    assert plan.refusals[0].reason == "As many runs as allowed are open (max_running = 3)."


def test_a_bead_that_any_agent_may_take_passes_over_a_role_whose_slots_are_in_use() -> None:
    settings = _settings(roles={"dev": {"slots": 1}})
    supply = _supply(_agent("full", "dev"), _agent("both", "dev", "qa"), in_use={"dev": 1})
    plan = choose([_candidate("a", None)], supply, settings)
    (placement,) = plan.placements
    assert (placement.agents[0].name, placement.role) == ("both", "qa")


def test_a_bead_that_any_agent_may_take_is_refused_when_every_role_is_full() -> None:
    settings = _settings(roles={"dev": {"slots": 1}})
    plan = choose([_candidate("a", None)], _supply(_agent("full"), in_use={"dev": 1}), settings)
    assert plan.placements == ()
    assert plan.refusals[0].reason == "The role dev has all its slots in use (slots = 1)."


@pytest.mark.parametrize(
    ("rest", "own", "expected"),
    [
        ({}, None, timedelta(minutes=30)),
        ({"dispatch": {"task_timeout": "20m"}}, None, timedelta(minutes=20)),
        ({"projects": {"shop": {"task_timeout": "15m"}}}, None, timedelta(minutes=15)),
        (
            {"projects": {"shop": {"task_timeout": "15m"}}, "roles": {"dev": {"task_timeout": "10m"}}},
            None,
            timedelta(minutes=10),
        ),
        ({"roles": {"dev": {"task_timeout": "10m"}}}, timedelta(minutes=5), timedelta(minutes=5)),
    ],
)
def test_the_nearest_timeout_counts(rest: dict[str, Any], own: timedelta | None, expected: timedelta) -> None:
    plan = choose([_candidate("a", timeout=own)], _supply(_agent("x")), _settings(**rest))
    assert plan.placements[0].timeout == expected


@pytest.mark.parametrize(
    ("hint", "role", "reason"),
    [
        ("dev", "dev", "It asks for the role dev."),
        ("", "dev", "It names no role; dev is the project's default."),
    ],
)
def test_a_placement_says_why(hint: str, role: str, reason: str) -> None:
    candidate = Candidate(
        bead=Bead(id=BeadId("a"), title="a", project_id=SHOP.id),
        lane=Lane(project_id=SHOP.id, hint=hint, role=role, limit=1),
    )
    (placement,) = choose([candidate], _supply(_agent("x")), _settings()).placements
    assert placement.reason == reason
