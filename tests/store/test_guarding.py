"""What the guards keep: looks at readiness that are taken once, and that read no more than they need."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.guarding import Readiness
from dispatch.models.identity import ProjectId
from dispatch.store.guarding import _END_CHECK

SHOP, BARN = ProjectId("shop"), ProjectId("barn")
FRESH, LIMIT = timedelta(minutes=1), timedelta(seconds=30)
READY = Readiness(ok=True, issues=("Dusty.",))


def _begin(scene: Any, *projects: ProjectId) -> list[ProjectId]:
    return [project.id for project in scene.store.guarding.begin_checks(projects, fresh=FRESH, limit=LIMIT)]


def test_of_several_that_want_to_look_one_does(scene: Any, at_once: Any) -> None:
    found = at_once([lambda: _begin(scene, SHOP)] * 6)
    assert sorted(found) == [[], [], [], [], [], [SHOP]]


def test_a_look_is_due_again_when_its_result_is_old_or_who_took_it_is_gone(scene: Any) -> None:
    assert _begin(scene, SHOP) == [SHOP]
    scene.clock.advance(LIMIT - timedelta(seconds=1))
    assert _begin(scene, SHOP) == []
    scene.clock.advance(timedelta(seconds=1))
    assert _begin(scene, SHOP) == [SHOP]
    scene.store.guarding.end_check(SHOP, READY)
    scene.clock.advance(FRESH - timedelta(seconds=1))
    assert _begin(scene, SHOP) == []
    scene.clock.advance(timedelta(seconds=1))
    assert _begin(scene, SHOP) == [SHOP]


def test_an_unknown_project_is_not_looked_at(scene: Any, repository: Any) -> None:
    scene.store.projects.add(BARN, repository)
    assert _begin(scene, ProjectId("nope"), BARN, SHOP) == [SHOP, BARN]


def test_a_result_is_kept_with_the_roles_that_beads_need(scene: Any) -> None:
    assert scene.store.guarding.readiness(SHOP) is None
    scene.bead("shop-1", role="qa")
    scene.bead("shop-2", role="qa")
    scene.bead("shop-3")
    scene.bead("shop-4", role="ops", status="closed")
    scene.bead("shop-5", role="web", labels=("human",))
    scene.bead("shop-6", role="art", waits_for=["shop-1"])
    _begin(scene, SHOP)
    assert scene.store.guarding.readiness(SHOP) is None, "a look that has only begun says nothing"
    scene.store.guarding.end_check(SHOP, READY)
    checked = scene.store.guarding.readiness(SHOP)
    assert (checked.readiness, checked.needed, checked.checked_at) == (READY, {"", "qa"}, scene.clock.at)


def test_resuming_makes_a_look_due_at_once(scene: Any) -> None:
    _begin(scene, SHOP)
    scene.store.guarding.end_check(SHOP, READY)
    scene.store.guarding.close_breaker(SHOP)
    assert _begin(scene, SHOP) == [SHOP]


@pytest.fixture
def crowded(scene: Any) -> Any:
    """Given 20,000 beads that can go, of four roles."""
    with scene.store.units.begin() as tx:
        tx.connection.execute(
            text(
                "INSERT INTO beads (project_id, id, title, status, priority, issue_type, created_at, document,"
                " role_hint)"
                " SELECT 'shop', 'shop-' || n, 'One', 'open', 0, 'task', now(), '{}', 'role-' || n % 4"
                " FROM generate_series(1, 20000) AS n"
            )
        )
    with scene.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE beads"))
    return scene


def _rows_of_beads(plan: dict[str, Any]) -> float:
    own = plan["Actual Rows"] * plan["Actual Loops"] if plan.get("Relation Name") == "beads" else 0
    return float(own + sum(_rows_of_beads(part) for part in plan.get("Plans", ())))


def test_the_needed_roles_are_found_by_jumps_and_not_by_reading_all_beads(crowded: Any) -> None:
    _begin(crowded, SHOP)
    with crowded.store.units.begin() as tx:
        ((answer,),) = tx.run(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {_END_CHECK}", project="shop", ok=True, issues=[], most=100, now=None
        )
    plan = (answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"]
    assert _rows_of_beads(plan) == 4
    assert crowded.store.guarding.readiness(SHOP).needed == {f"role-{number}" for number in range(4)}
