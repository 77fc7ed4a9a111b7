"""Spending: kept exactly, held against caps, and parked by them until the day is over."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from dispatch.dispatcher import Dispatcher
from dispatch.models.dispatching import StatusState
from dispatch.models.guarding import RunSpending, Spent
from dispatch.models.identity import BeadKey, ProjectId, RunId, uuid7
from dispatch.models.outcome import Cancelled, Completed
from dispatch.models.states import StopReason
from dispatch.store import transaction

SHOP, BARN = ProjectId("shop"), ProjectId("barn")
DAY = timedelta(days=1)


class Till:
    """The scene with agents and runs that spend."""

    def __init__(self, scene: Any, bus: Any, configured: Callable[..., Any]) -> None:
        self.scene = scene
        self._bus = bus
        self._configured = configured
        self.worker = scene.worker(agents=3)

    def capped(self, **caps: float) -> Dispatcher:
        return Dispatcher(self.scene.store, self._bus, self._configured(caps=caps))

    def running(self, key: BeadKey) -> RunId:
        run_id: RunId = self.scene.claimed(key)
        self.scene.start(run_id, self.worker)
        return run_id

    def charge(self, run_id: RunId, key: BeadKey, usd: str, *, tokens: int = 0, cap: str | None = None) -> bool:
        spent = Spent(usd=Decimal(usd), tokens_in=tokens)
        bead_cap = Decimal(cap) if cap is not None else None
        spending = RunSpending(run_id=run_id, bead=key, spent=spent, bead_cap=bead_cap, refusal="Too dear.")
        over: bool = self.scene.store.guarding.charge(spending)
        return over

    def spent(self) -> dict[ProjectId, Spent]:
        found: dict[ProjectId, Spent] = self.scene.store.guarding.spent_on(self.scene.clock.at)
        return found


@pytest.fixture
def till(scene: Any, bus: Any, configured: Callable[..., Any]) -> Till:
    return Till(scene, bus, configured)


def test_what_a_run_used_is_summed_for_run_bead_and_project_day(till: Till) -> None:
    key = till.scene.bead()
    run_id = till.running(key)
    till.charge(run_id, key, "0.1", tokens=10)
    till.charge(run_id, key, "0.3", tokens=30)
    assert till.scene.run(run_id).spent == Spent(usd=Decimal("0.3"), tokens_in=30)
    assert till.scene.read(key).usd == Decimal("0.3")
    assert till.spent() == {SHOP: Spent(usd=Decimal("0.3"), tokens_in=30)}


def test_charging_again_changes_nothing(till: Till) -> None:
    key = till.scene.bead()
    run_id = till.running(key)
    for total in ("0.2", "0.2", "0.1"):
        till.charge(run_id, key, total)
    assert till.spent() == {SHOP: Spent(usd=Decimal("0.2"))}


def test_thousands_of_dimes_make_hundreds_of_dollars(till: Till) -> None:
    key = till.scene.bead()
    run_id = till.running(key)
    total = Decimal(0)
    for _ in range(30):
        total += Decimal("0.1")
        till.charge(run_id, key, str(total))
    assert till.scene.read(key).usd == Decimal("3.0")


def test_runs_that_spend_at_the_same_time_lose_nothing(till: Till, at_once: Any) -> None:
    keys = [till.scene.bead(f"shop-{number}") for number in range(3)]
    runs = [till.running(key) for key in keys]
    at_once(
        [
            lambda run_id=run_id, key=key, total=total: till.charge(run_id, key, str(total))
            for run_id, key in zip(runs, keys, strict=True)
            for total in (1, 2, 3)
        ]
    )
    assert till.spent() == {SHOP: Spent(usd=Decimal(9))}


def test_a_run_that_is_not_there_is_charged_to_nobody(till: Till) -> None:
    assert not till.charge(RunId(uuid7()), till.scene.bead(), "1", cap="0.5")
    assert till.spent() == {}


def test_a_run_that_takes_its_bead_over_its_cap_is_asked_to_stop_once(till: Till) -> None:
    key = till.scene.bead()
    run_id = till.running(key)
    assert not till.charge(run_id, key, "4.99", cap="5")
    assert till.scene.run(run_id).stop_reason is None
    assert till.charge(run_id, key, "5", cap="5")
    assert till.charge(run_id, key, "5.5", cap="5")
    assert till.scene.run(run_id).stop_reason is StopReason.BUDGET
    assert till.scene.read(key).refusal == "Too dear."
    (asked,) = till.scene.events("run.asked_to_stop")
    assert (asked.run_id, asked.data["reason"], asked.data["attempt"]) == (run_id, "budget", 1)


def test_what_is_charged_after_the_end_counts_and_stops_nobody(till: Till) -> None:
    key = till.scene.bead()
    started = till.scene.start(till.scene.claimed(key), till.worker)
    till.scene.report(started, Completed(nothing_to_do=True))
    till.scene.settle(started.run.id)
    assert till.charge(started.run.id, key, "7", cap="5")
    assert till.scene.run(started.run.id).stop_reason is None
    assert till.scene.events("run.asked_to_stop") == []
    assert till.spent() == {SHOP: Spent(usd=Decimal(7))}


def _stopped(till: Till, usd: str) -> BeadKey:
    """Let a bead spend, and its run be ended for that."""
    key: BeadKey = till.scene.bead("shop-dear", priority=0)
    started = till.scene.start(till.scene.claimed(key), till.worker)
    till.charge(started.run.id, key, usd)
    till.scene.report(started, Cancelled(cause=StopReason.BUDGET))
    till.scene.settle(started.run.id)
    return key


def test_a_bead_over_its_cap_is_passed_over_until_the_cap_is_raised(till: Till) -> None:
    dear, other = _stopped(till, "5"), till.scene.bead("shop-cheap")
    dispatcher = till.capped(bead_usd=5)
    assert [placement.bead for placement in dispatcher.plan().placements] == [other]
    assert [result.bead_id for result in dispatcher.dispatch(limit=1)] == [other.bead_id], "it hides nobody"
    assert till.scene.read(dear).failures == 0
    assert [result.bead_id for result in till.capped(bead_usd=5.01).dispatch()] == [dear.bead_id]


def test_a_bead_over_its_cap_is_passed_over_also_when_nobody_serves_its_role(till: Till, configured: Any) -> None:
    till.scene.bead("shop-dear", role="qa")
    with till.scene.store.units.begin() as tx:
        tx.run("UPDATE beads SET usd = 5")
    settings = configured(caps={"bead_usd": 5}, dispatch={"role_wait": "0s"})
    assert Dispatcher(till.scene.store, till._bus, settings).plan(SHOP).placements == ()


def test_a_project_over_its_cap_is_parked_until_the_day_is_over(till: Till, repository: Any) -> None:
    till.scene.store.projects.add(BARN, repository)
    _stopped(till, "20.5")
    till.scene.bead("barn-1", project=BARN)
    dispatcher = till.capped(project_usd_day=20)
    assert [result.project_id for result in dispatcher.dispatch()] == [BARN]
    status = dispatcher.system_status(SHOP)
    assert (status.state, status.reason) == (
        StatusState.PARKED,
        "The budget of shop for today is spent, $20.50 of $20.00 (project_usd_day): "
        "it goes on at 00:00 UTC, or with a higher cap.",
    )
    till.scene.clock.advance(timedelta(hours=11, minutes=59))
    till.scene.store.swarm.heartbeat(till.worker)
    assert dispatcher.dispatch() == []
    till.scene.clock.advance(timedelta(minutes=1))
    till.scene.store.swarm.heartbeat(till.worker)
    assert [result.project_id for result in dispatcher.dispatch()] == [SHOP]


@pytest.mark.parametrize(
    ("caps", "used"),
    [
        ({"system_usd_day": 30}, "$30.00 of $30.00 (system_usd_day)"),
        ({"system_tokens_day": 2000}, "2,000 of 2,000 tokens (system_tokens_day)"),
    ],
)
def test_a_system_over_its_cap_parks_every_project(
    till: Till, repository: Any, caps: dict[str, float], used: str
) -> None:
    till.scene.store.projects.add(BARN, repository)
    keys = [till.scene.bead("shop-1"), till.scene.bead("barn-1", project=BARN)]
    for key in keys:
        till.charge(till.running(key), key, "15", tokens=1000)
    till.scene.bead("shop-2")
    dispatcher = till.capped(**caps)
    result = dispatcher.dispatch_once(SHOP)
    assert result.error == (
        f"The system's budget for today is spent, {used}: it goes on at 00:00 UTC, or with a higher cap."
    )
    assert dispatcher.dispatch_once().error == result.error
    assert till.capped().dispatch_once().dispatched


@pytest.fixture
def statements(scene: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Given a list of the statements that the store gives the server from now on."""
    given: list[str] = []
    run = transaction.run

    def noted(connection: Any, statement: str, parameters: Any) -> Any:
        given.append(statement)
        return run(connection, statement, parameters)

    monkeypatch.setattr(transaction, "run", noted)
    event.listen(
        scene.store.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_rest: given.append(statement),
    )
    return given


def _kinds(statements: Sequence[str]) -> list[str]:
    return [" ".join(statement.split())[:40] for statement in statements]


def test_guards_that_are_set_and_park_nobody_cost_no_statement(
    till: Till, statements: list[str], configured: Callable[..., Any], bus: Any
) -> None:
    key = till.scene.bead("shop-0")
    till.charge(till.running(key), key, "1")
    plain = Dispatcher(till.scene.store, bus, configured())
    caps = {"bead_usd": 5, "project_usd_day": 5, "system_usd_day": 5, "system_tokens_day": 5}
    guarded = Dispatcher(till.scene.store, bus, configured(caps=caps, dispatch={}, guards={"breaker_failures": 1}))
    asked = []
    for number, dispatcher in enumerate((plain, guarded), start=1):
        till.scene.bead(f"shop-{number}")
        statements.clear()
        assert dispatcher.dispatch_once().dispatched
        asked.append(_kinds(statements))
    # The first round also notes that the system is active.
    assert [kind for kind in asked[0] if "INTO statuses" not in kind] == asked[1]


def test_a_run_that_completes_costs_no_statement_more_unless_its_project_fails(
    till: Till, statements: list[str]
) -> None:
    def settles() -> list[str]:
        key = till.scene.bead(f"shop-{len(till.scene.events())}")
        started = till.scene.start(till.scene.claimed(key), till.worker)
        till.scene.report(started, Completed(nothing_to_do=True))
        statements.clear()
        till.scene.settle(started.run.id)
        return _kinds(statements)

    usual = settles()
    assert not any("failure_rows" in statement.split("SELECT")[0] for statement in usual)
    with till.scene.store.units.begin() as tx:
        tx.run("INSERT INTO failure_rows (project_id, cause, failures, last_at) VALUES ('shop', 'x', 1, now())")
    assert len(settles()) == len(usual) + 1
    assert len(settles()) == len(usual)
