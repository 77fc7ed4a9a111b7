"""Beads whose role nobody serves: who is found, from when on, and what the look costs."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.dispatching import Lane
from dispatch.models.identity import ProjectId
from dispatch.models.outcome import Failed
from dispatch.store.unserved import _UNSERVED, LOOKED_AT, MOST_ROLES

SHOP = ProjectId("shop")
WAIT = timedelta(minutes=10)
LEASE = timedelta(seconds=45)
SECOND = timedelta(seconds=1)


def _found(scene: Any, *, limit: int = 9, wait: timedelta = WAIT, answered: Sequence[str] = ("", "dev"), **rest: Any):
    lane = Lane(project_id=SHOP, hint="", role=None, limit=limit, **rest)
    with scene.store.dispatching.look() as look:
        return [candidate.bead.id for candidate in look.unserved([lane], answered=answered, patience=wait)]


@pytest.fixture
def staffed(scene: Any) -> Any:
    """Given a worker for `dev` that has been there for long."""
    worker = scene.worker()
    scene.clock.advance(WAIT)
    scene.store.swarm.heartbeat(worker)
    scene.keep = lambda by: (scene.clock.advance(by), scene.store.swarm.heartbeat(worker))
    return scene


def test_a_bead_is_found_when_it_has_waited_and_not_before(staffed: Any) -> None:
    staffed.bead("shop-1", role="qa")
    staffed.keep(WAIT - SECOND)
    assert _found(staffed) == []
    staffed.keep(SECOND)
    assert _found(staffed) == ["shop-1"]


def test_without_patience_it_is_found_at_once(staffed: Any) -> None:
    staffed.bead("shop-1", role="qa")
    assert _found(staffed, wait=timedelta()) == ["shop-1"]


def test_what_is_answered_or_not_ready_is_not_found(staffed: Any) -> None:
    staffed.bead("shop-dev", role="dev")
    staffed.bead("shop-none")
    staffed.bead("shop-closed", role="qa", status="closed")
    staffed.bead("shop-human", role="qa", labels=("human",))
    staffed.bead("shop-deferred", role="qa", defer_until=staffed.clock.at + WAIT)
    staffed.bead("shop-first", role="dev")
    staffed.bead("shop-waits", role="qa", waits_for=("shop-first",))
    staffed.keep(WAIT)
    assert _found(staffed) == []


def test_a_deferred_bead_waits_from_the_end_of_its_deferral(staffed: Any) -> None:
    staffed.bead("shop-1", role="qa", defer_until=staffed.clock.at + WAIT)
    staffed.keep(2 * WAIT - SECOND)
    assert _found(staffed) == []
    staffed.keep(SECOND)
    assert _found(staffed) == ["shop-1"]


def test_a_bead_that_was_blocked_waits_from_when_it_is_not_any_more(staffed: Any) -> None:
    first = staffed.bead("shop-1", role="dev")
    staffed.bead("shop-2", role="qa", waits_for=("shop-1",))
    staffed.keep(WAIT)
    staffed.store.edits.close(first, "done")
    assert _found(staffed) == []
    staffed.keep(WAIT)
    assert _found(staffed) == ["shop-2"]


def test_a_bead_that_asks_for_another_role_now_waits_anew(staffed: Any) -> None:
    staffed.bead("shop-1", role="qa")
    staffed.keep(WAIT)
    staffed.bead("shop-1", role="ops", title="Uno", updated_at=staffed.clock.at)
    assert _found(staffed) == []
    staffed.bead("shop-1", role="ops", title="Ein", updated_at=staffed.clock.at + SECOND)
    staffed.keep(WAIT)
    assert _found(staffed) == ["shop-1"], "another title did not make it wait anew"


def test_an_adopted_bead_waits_from_then_on(staffed: Any) -> None:
    key = staffed.bead("shop-1", role="qa", status="in_progress")
    staffed.keep(WAIT)
    assert staffed.store.edits.adopt(key)
    assert _found(staffed) == []
    staffed.keep(WAIT)
    assert _found(staffed) == ["shop-1"]


def test_a_bead_that_its_tracker_opens_again_waits_from_then_on(staffed: Any) -> None:
    staffed.bead("shop-1", role="qa", status="blocked")
    staffed.keep(WAIT)
    staffed.bead("shop-1", role="qa", updated_at=staffed.clock.at)
    assert _found(staffed) == []
    staffed.keep(WAIT)
    assert _found(staffed) == ["shop-1"]


def test_a_role_that_was_served_a_while_ago_may_come_back(staffed: Any) -> None:
    """A worker that is restarted must find its backlog where it was."""
    tester = staffed.worker("qa@host", roles=("qa",))
    staffed.bead("shop-1", role="qa")
    staffed.keep(2 * WAIT)
    staffed.store.swarm.heartbeat(tester)
    staffed.store.swarm.leave(tester)
    staffed.keep(WAIT - SECOND)
    assert _found(staffed) == []
    staffed.keep(SECOND)
    assert _found(staffed) == ["shop-1"]


def test_a_process_that_served_the_role_for_itself_alone_is_not_waited_for(staffed: Any) -> None:
    staffed.bead("shop-1", role="qa")
    staffed.keep(WAIT)
    staffed.worker("me@host", roles=("qa",), pool="local")
    assert _found(staffed) == ["shop-1"]


def test_a_fleet_that_has_just_begun_is_given_a_moment_to_assemble(scene: Any) -> None:
    scene.bead("shop-1", role="qa")
    scene.clock.advance(2 * WAIT)
    worker = scene.worker()
    assert _found(scene) == []
    assert _found(scene, wait=timedelta()) == ["shop-1"]
    scene.clock.advance(LEASE)
    scene.store.swarm.heartbeat(worker)
    assert _found(scene) == ["shop-1"]


def test_the_beads_of_several_roles_come_in_dispatch_order_and_no_role_has_more_than_the_limit(staffed: Any) -> None:
    for number in range(3):
        staffed.bead(f"shop-qa-{number}", role="qa", priority=number)
        staffed.bead(f"shop-ops-{number}", role="ops", priority=number)
    staffed.keep(WAIT)
    assert _found(staffed, limit=2) == ["shop-ops-0", "shop-qa-0", "shop-ops-1", "shop-qa-1"]


def test_a_bead_that_cools_down_is_not_found_before_it_has(staffed: Any) -> None:
    key = staffed.bead("shop-1", role="qa")
    staffed.keep(WAIT)
    (worker,) = staffed.store.swarm.workers()
    staffed.work(key, worker.id, Failed(cause="tests"))
    assert _found(staffed) == []
    staffed.keep(timedelta(minutes=1))
    assert _found(staffed) == ["shop-1"]


def test_a_bead_over_its_cap_is_passed_over(staffed: Any) -> None:
    staffed.bead("shop-1", role="qa")
    staffed.bead("shop-2", role="qa")
    with staffed.store.units.begin() as tx:
        tx.connection.execute(text("UPDATE beads SET usd = 5 WHERE id = 'shop-1'"))
    staffed.keep(WAIT)
    assert _found(staffed, bead_cap=Decimal(5)) == ["shop-2"]


# What the look costs

COLUMNS = "project_id, id, title, status, priority, issue_type, created_at, document, role_hint, ready_since"


def _crowd(scene: Any, many: int, role: str, *, since: str = "now() - interval '1 year'", key: str = "a") -> None:
    with scene.store.units.begin() as tx:
        tx.connection.execute(
            text(
                f"INSERT INTO beads ({COLUMNS}) SELECT 'shop', '{key}-' || n, 'One', 'open', n % 5, 'task',"
                f" now() - n * interval '1 s', '{{}}', {role}, {since} FROM generate_series(1, :many) AS n"
            ),
            {"many": many},
        )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _rows_read(scene: Any) -> tuple[set[str], int]:
    """Return the indexes of beads that the look reads, and how many rows of beads."""
    with scene.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE beads"))
    at = scene.clock.at
    with scene.store.units.begin() as tx:
        ((answer,),) = tx.run(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {_UNSERVED}",
            projects=["shop"],
            limits=[4],
            caps=[None],
            answered=["", "dev"],
            moment=at,
            waiting_since=at - WAIT,
            alive_since=at - LEASE,
            here_since=at - LEASE,
        )
    plan: dict[str, Any] = (answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"]
    scans = [node for node in _nodes(plan) if node.get("Relation Name") == "beads"]
    rows = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)
    return {node.get("Index Name", node["Node Type"]) for node in scans}, int(rows)


def test_the_look_jumps_from_role_to_role_however_long_the_backlog_is(staffed: Any) -> None:
    _crowd(staffed, 100_000, "(ARRAY['', 'dev', 'ops', 'qa'])[1 + n % 4]")
    indexes, rows = _rows_read(staffed)
    assert indexes == {"beads_dispatch"}
    assert rows <= 3 + 2 * LOOKED_AT


def test_a_backlog_that_has_not_waited_long_enough_is_not_read_to_its_end(staffed: Any) -> None:
    _crowd(staffed, 20_000, "'qa'", since="now() + interval '1 year'")
    _, rows = _rows_read(staffed)
    assert rows <= 1 + LOOKED_AT
    assert _found(staffed) == []


def test_of_many_roles_only_so_many_are_looked_at(staffed: Any) -> None:
    _crowd(staffed, 5_000, "'role-' || n")
    _, rows = _rows_read(staffed)
    assert rows <= 2 * MOST_ROLES
    assert len(_found(staffed)) == MOST_ROLES
