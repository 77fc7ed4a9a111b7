"""What an agent says it used is kept, and an agent over its bead's cap is ended while it runs."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import ProgrammingError

from dispatch.models.bead import Bead
from dispatch.models.guarding import RunSpending, Spent
from dispatch.models.identity import BeadId, ProjectId, RunId, uuid7
from dispatch.models.messages import ProgressEvent, UsageEvent
from dispatch.models.outcome import Cancelled, Completed
from dispatch.models.states import StopReason
from dispatch.settings import CapSettings
from dispatch.store import guarding
from dispatch.wiring import wire
from workers.execution import RunExecutor
from workers.registry import RunnerRegistry
from workers.runners import RunControl
from workers.spending import SpendingMeter

BEAD = Bead(id=BeadId("shop-1"), title="Sell", project_id=ProjectId("shop"), usd=Decimal(3))
DONE = "say(type='result', outcome='completed', nothing_to_do=True)"


class Charges:
    """Keeps what it is told to charge; raises what it is told to."""

    def __init__(self) -> None:
        self.told: list[RunSpending] = []
        self.trouble: Exception | None = None
        self.is_over = False

    def __call__(self, spending: RunSpending) -> bool:
        if self.trouble is not None:
            raise self.trouble
        self.told.append(spending)
        return self.is_over

    @property
    def spent(self) -> list[Spent]:
        return [spending.spent for spending in self.told]


@pytest.fixture
def charges() -> Charges:
    return Charges()


def _meter(charges: Charges, cap: float = 0) -> tuple[SpendingMeter, RunControl]:
    control = RunControl()
    return SpendingMeter(charges, RunId(uuid7()), BEAD, CapSettings(bead_usd=Decimal(str(cap))), control), control


def _used(usd: float, tokens_in: int = 0) -> UsageEvent:
    return UsageEvent(usd=usd, tokens_in=tokens_in)


def test_the_whole_is_charged_when_it_is_time_and_only_when_it_grew(charges: Charges) -> None:
    meter, control = _meter(charges)
    meter.flush()
    for _ in range(3):
        meter.add(_used(0.1, 5))
    meter.add(ProgressEvent(message="Thinking."))
    assert charges.told == []
    meter.flush()
    meter.flush()
    assert charges.spent == [Spent(usd=Decimal("0.3"), tokens_in=15)]
    meter.add(_used(0.1))
    meter.flush()
    assert charges.spent[-1] == Spent(usd=Decimal("0.4"), tokens_in=15)
    assert control.stop_reason is None


def test_an_agent_that_reaches_its_beads_cap_is_stopped_at_once(charges: Charges) -> None:
    meter, control = _meter(charges, cap=5)
    meter.add(_used(1.99))
    assert (charges.told, control.stop_reason) == ([], None)
    meter.add(_used(0.01))
    assert control.stop_reason is StopReason.BUDGET
    (told,) = charges.told
    assert told.bead_cap == 5
    assert told.refusal == "It has used up the $5.00 that a bead may cost (bead_usd)."


def test_what_other_runs_of_the_bead_used_counts_too(charges: Charges) -> None:
    meter, control = _meter(charges, cap=5)
    charges.is_over = True
    meter.add(_used(0.5))
    meter.flush()
    assert control.stop_reason is StopReason.BUDGET


def test_what_cannot_be_written_now_waits_on(charges: Charges, away: Callable[[], Exception]) -> None:
    meter, _ = _meter(charges)
    meter.add(_used(0.5))
    charges.trouble = away()
    meter.flush()
    charges.trouble = None
    meter.flush()
    assert charges.spent == [Spent(usd=Decimal("0.5"))]


def test_what_the_database_refuses_for_good_is_not_tried_again(charges: Charges) -> None:
    meter, _ = _meter(charges)
    meter.add(_used(0.5))
    charges.trouble = ProgrammingError("SELECT", {}, ValueError("no such thing"))
    meter.flush()
    charges.trouble = None
    meter.flush()
    assert charges.told == []


def test_no_agent_can_say_more_than_the_sums_can_hold(charges: Charges) -> None:
    meter, _ = _meter(charges)
    for _ in range(2000):
        meter.add(UsageEvent(usd=10**9, tokens_in=10**12, tokens_out=10**12))
    meter.add(_used(1e-300))
    meter.flush()
    assert charges.spent == [Spent(usd=Decimal(10**12), tokens_in=10**15, tokens_out=10**15)]


def _capped(shop: Any, cap: str) -> None:
    settings = shop.system.settings.model_copy(update={"caps": CapSettings(bead_usd=Decimal(cap))})
    shop.system = wire(settings, shop.store, shop.bus)


def _execute(shop: Any, does: str, bead_id: str) -> Any:
    message = shop.order(shop.add(bead_id, does), timeout=timedelta(seconds=60))
    executor = RunExecutor(
        shop.system,
        RunnerRegistry(shop.system.settings),
        incarnation_id=lambda: shop.worker,
        stopping=lambda: False,
    )
    return shop.run(executor.execute(message))


def test_what_an_agent_used_is_there_when_its_outcome_is(shop: Any) -> None:
    says = "say(type='usage', tokens_in=7, tokens_out=2, usd=0.1); say(type='usage', usd=0.2);"
    run = _execute(shop, says + DONE, "a")
    assert run.outcome == Completed(nothing_to_do=True)
    assert run.spent == Spent(usd=Decimal("0.3"), tokens_in=7, tokens_out=2)
    assert shop.store.reading.bead(run.bead_key).usd == Decimal("0.3")


def test_an_agent_over_its_cap_is_ended_and_its_bead_says_why(shop: Any) -> None:
    _capped(shop, "1")
    run = _execute(shop, "say(type='usage', usd=0.6); say(type='usage', usd=0.6); time.sleep(600)", "a")
    assert run.outcome == Cancelled(cause=StopReason.BUDGET)
    assert run.stop_reason is StopReason.BUDGET
    assert shop.store.reading.bead(run.bead_key).refusal == (
        "It has used up the $1.00 that a bead may cost (bead_usd)."
    )
    shop.system.results.settle(run.id)
    bead = shop.store.reading.bead(run.bead_key)
    assert (bead.status, bead.failures, bead.hops) == ("open", 0, 0)
    assert shop.system.dispatcher.plan().placements == ()


def test_a_database_that_is_away_at_the_end_loses_nothing(
    shop: Any, away: Callable[[], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    charge, calls = guarding.GuardRecords.charge, []

    def fails_first(self: Any, spending: RunSpending) -> bool:
        calls.append(spending)
        if len(calls) == 1:
            raise away()
        return charge(self, spending)

    monkeypatch.setattr(guarding.GuardRecords, "charge", fails_first)
    run = _execute(shop, "say(type='usage', usd=0.25);" + DONE, "a")
    assert run.spent.usd == Decimal("0.25")
