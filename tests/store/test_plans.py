"""The candidate query reads what it gives, and no more, however many beads stand in front of it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, text

from dispatch.errors import TickBusyError
from dispatch.models.dispatching import Lane
from dispatch.models.identity import ProjectId
from dispatch.models.outcome import Completed
from dispatch.store import Store, make_engine
from dispatch.store.dispatching import _CANDIDATES
from dispatch.wiring import wire

MANY = 20_000
COLUMNS = "project_id, id, title, status, priority, issue_type, created_at, document, role_hint"


@pytest.fixture
def crowded(scene: Any) -> Any:
    """Given 20,000 ready beads of other roles in front of a few."""
    with scene.store.units.begin() as tx:
        tx.connection.execute(
            text(
                f"INSERT INTO beads ({COLUMNS})"
                " SELECT 'shop', 'shop-' || n, 'One', 'open', 0, 'task', now() - n * interval '1 s', '{}',"
                " 'role-' || n % 4 FROM generate_series(1, :many) AS n"
            ),
            {"many": MANY},
        )
        tx.connection.execute(
            text(
                f"INSERT INTO beads ({COLUMNS})"
                " SELECT 'shop', 'qa-' || n, 'One', 'open', 4, 'task', now(), '{}', 'qa'"
                " FROM generate_series(1, 100) AS n"
            )
        )
    with scene.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE beads"))
    return scene


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _explain(scene: Any, hints: list[str], limit: int) -> dict[str, Any]:
    with scene.store.units.read() as tx:
        lanes: dict[str, Any] = {"projects": ["shop"] * len(hints), "hints": hints, "limits": [limit] * len(hints)}
        lanes["caps"] = [Decimal(5)] * len(hints)
        ((answer,),) = tx.run(f"EXPLAIN (ANALYZE, FORMAT JSON) {_CANDIDATES}", **lanes, now=scene.clock.at)
    plan: dict[str, Any] = (answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"]
    return plan


@pytest.mark.parametrize(("hints", "limit"), [(["qa"], 5), (["role-1", "qa", "nobody"], 3)])
def test_a_lane_is_read_from_the_dispatch_index_and_only_as_far_as_needed(
    crowded: Any, hints: list[str], limit: int
) -> None:
    nodes = list(_nodes(_explain(crowded, hints, limit)))
    scans = [node for node in nodes if node.get("Relation Name") == "beads"]
    assert [node.get("Index Name") for node in scans] == ["beads_dispatch"]
    (scan,) = scans
    assert scan["Actual Rows"] * scan["Actual Loops"] <= limit * len(hints)
    assert scan.get("Rows Removed by Filter", 0) == 0
    lane_sorts = [node for node in nodes if node["Node Type"] == "Sort" and node["Actual Rows"] > limit * len(hints)]
    assert lane_sorts == [], "the order comes from the index"


def test_the_first_of_many_is_the_oldest_of_the_highest_priority(crowded: Any) -> None:
    lane = Lane(project_id=ProjectId("shop"), hint="role-1", role="dev", limit=2)
    with crowded.store.dispatching.look() as round_:
        found = [candidate.bead.id for candidate in round_.candidates([lane])]
    assert found == [f"shop-{MANY - 3}", f"shop-{MANY - 7}"]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT count(*) FROM runs WHERE state IN ('pending', 'running', 'reported')", "runs_open"),
        ("SELECT id FROM runs WHERE state = 'reported'", "runs_open"),
        ("SELECT id FROM beads WHERE project_id = 'shop' AND status = 'landing'", "beads_landing"),
        ("SELECT id FROM steps WHERE state = 'open'", "steps_one_open"),
    ],
)
def test_what_every_tick_asks_reads_an_index_of_what_is_open_only(scene: Any, statement: str, index: str) -> None:
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("SET LOCAL enable_seqscan = off"))
        lines = tx.connection.execute(text(f"EXPLAIN {statement}")).scalars().all()
    assert index in "\n".join(lines)


WHOLE, ANY_WAY = "seq_tup_read", "seq_tup_read + coalesce(idx_tup_fetch, 0)"
"""The rows of a table that were read where it was read whole, and all that were read."""


def _rows_read(scene: Any, table: str, how: str) -> int:
    with scene.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))
        statement = text(f"SELECT {how} FROM pg_stat_user_tables WHERE relname = :name")
        return int(connection.execute(statement, {"name": table}).scalar_one())


def _plan_once(connection: Any, _record: Any) -> None:
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.commit()


def test_no_tick_reads_a_whole_table_however_often_its_statements_were_prepared(
    crowded: Any, bus: Any, database_url: str
) -> None:
    """A plan that is made once for all parameters does not know them: what an index is for must stand in the text."""
    engine = make_engine(database_url, pool_size=1)
    event.listen(engine, "connect", _plan_once)
    ours = crowded
    worker = ours.worker(agents=2)
    ours.start(ours.claimed(ours.bead("shop-none-1", role="dev")), worker)
    before = _rows_read(ours, "beads", WHOLE)
    store = Store(engine, lease=timedelta(seconds=45), clock=ours.clock)
    try:
        system = wire(ours.settings, store, bus)
        for _ in range(12):
            system.tick.run()
            store.landings.next(ProjectId("shop"))
            ours.clock.advance(timedelta(seconds=31))
            store.swarm.heartbeat(worker)
    finally:
        store.close()
    assert _rows_read(ours, "beads", WHOLE) == before


def _make_many(scene: Any) -> None:
    """Give the project 500 beads more, each with an edge, a run and a step, as those of the first have become."""
    with scene.store.units.begin() as tx:
        for statement in (
            f"INSERT INTO beads ({COLUMNS}) SELECT 'shop', 'more-' || n, 'One', 'closed', 0, 'task', now(), '{{}}', ''"
            " FROM generate_series(1, 500) AS n",
            "INSERT INTO dependencies (project_id, issue_id, depends_on_id, type)"
            " SELECT 'shop', 'more-' || n, 'more-' || n - 1, 'blocks' FROM generate_series(2, 500) AS n",
            "INSERT INTO steps SELECT (jsonb_populate_record(step, jsonb_build_object("
            " 'id', gen_random_uuid(), 'bead_id', 'more-' || n))).*"
            " FROM steps AS step, generate_series(1, 500) AS n",
            "INSERT INTO runs SELECT (jsonb_populate_record(run, jsonb_build_object("
            " 'id', gen_random_uuid(), 'step_id', step.id, 'bead_id', step.bead_id))).*"
            " FROM runs AS run JOIN steps AS step ON step.id <> run.step_id",
        ):
            tx.connection.execute(text(statement))


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_a_walk_reads_its_own_rows_though_its_plans_were_made_when_there_were_no_others(
    scene: Any, database_url: str, known: bool
) -> None:
    """As in a session that was there before the first import: nothing tells the planner that there are many by now.

    When it is told, as after an import of many, it must not find it cheaper to read all of them once.
    """
    tables = ("beads", "dependencies", "runs", "steps")
    worker, ours = scene.worker(), scene.store
    with ours.units.begin() as tx:
        for table in tables:
            tx.connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = off)"))
            tx.connection.execute(text(f"DELETE FROM pg_statistic WHERE starelid = '{table}'::regclass"))
    store = Store(make_engine(database_url, pool_size=1), lease=timedelta(seconds=45), clock=scene.clock)
    try:
        scene.store = store
        scene.work(scene.bead("shop-first"), worker, Completed())
        _make_many(scene)
        key, follower = scene.bead("shop-last"), scene.bead("shop-next")
        scene.value(
            "INSERT INTO dependencies (project_id, issue_id, depends_on_id, type)"
            " VALUES ('shop', 'shop-next', 'shop-last', 'blocks'), ('shop', 'shop-last', 'more-1', 'parent-child')"
            " RETURNING 1"
        )
        scene.value("UPDATE beads SET blocked = true WHERE id = 'shop-next' RETURNING 1")
        if known:
            with ours.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"ANALYZE {', '.join(tables)}"))
        before = [_rows_read(scene, table, ANY_WAY) for table in tables]
        assert scene.work(key, worker, Completed()).released == (follower.bead_id,)
        read = {table: _rows_read(scene, table, ANY_WAY) - was for table, was in zip(tables, before, strict=True)}
    finally:
        scene.store = ours
        store.close()
        with ours.units.begin() as tx:
            for table in tables:
                tx.connection.execute(text(f"ALTER TABLE {table} RESET (autovacuum_enabled)"))
    assert max(read.values()) < 50, read


def test_a_round_that_leaves_the_field_to_another_keeps_its_plans(scene: Any, database_url: str) -> None:
    """The driver forgets what it prepared with every rollback, and to prepare a walk's statements costs many walks."""
    store = Store(make_engine(database_url, pool_size=1), lease=timedelta(seconds=45), clock=scene.clock)
    try:
        with store.dispatching.round() as round_:
            round_.supply()
        before = _prepared(store)
        with scene.store.dispatching.round(), pytest.raises(TickBusyError), store.dispatching.round(wait=False):
            pytest.fail("two rounds at once")
        assert _prepared(store) >= before > 0
    finally:
        store.close()


def _prepared(store: Store) -> int:
    with store.units.read() as tx:
        return int(tx.connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one())


def test_a_connection_that_is_tried_after_a_rest_keeps_its_plans(
    scene: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch.store.engine._REST", -1.0)
    store = Store(make_engine(database_url, pool_size=1), lease=timedelta(seconds=45), clock=scene.clock)
    try:
        with store.dispatching.round() as round_:
            round_.supply()
        assert _prepared(store) > 0
    finally:
        store.close()


def test_an_import_of_many_beads_tells_the_planner_of_them(scene: Any) -> None:
    def known() -> Any:
        return scene.value("SELECT reltuples FROM pg_class WHERE oid = 'beads'::regclass")

    scene.value("DELETE FROM pg_statistic RETURNING 1")
    records = [scene.record(f"shop-{number}") for number in range(300)]
    scene.store.imports.import_records(ProjectId("shop"), records)
    assert known() == 300
    assert scene.value("SELECT count(*) FROM pg_statistic WHERE starelid = 'beads'::regclass") > 0
