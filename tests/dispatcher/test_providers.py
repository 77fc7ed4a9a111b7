"""Runs on providers of models: which one the claim takes, and what the settle of each run makes of its breaker."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatch.cli.explaining import Explainer
from dispatch.dispatcher import Dispatcher
from dispatch.models.dispatching import DispatchResult
from dispatch.models.guarding import RunSpending, Spent
from dispatch.models.outcome import Completed, Failed, Outcome
from dispatch.models.provider import ProviderRecord, ProviderTrouble
from dispatch.results import ResultHandler
from dispatch.settings import Settings

DONE = Completed(nothing_to_do=True)
BUSY = Failed(cause=ProviderTrouble.BUSY, summary="weak: it is busy (status 429).")
DOWN = (
    "All providers of the role dev are down (main: provider rate limit; it is tried again from "
    "2026-09-25 12:00:30 UTC on)."
)


class Hall:
    """The scene with one worker of many agents, on given providers."""

    def __init__(self, scene: Any, bus: Any, settings: Settings) -> None:
        self.scene = scene
        self.settings = settings
        self.dispatcher = Dispatcher(scene.store, bus, settings)
        self.results = ResultHandler(scene.store, bus, settings)
        self.worker = scene.worker(agents=8)
        self.beads = 0

    def bead(self, **fields: Any) -> Any:
        self.beads += 1
        return self.scene.bead(f"shop-{self.beads}", role="dev", **fields)

    def goes(self, **fields: Any) -> DispatchResult:
        self.bead(**fields)
        result: DispatchResult = self.dispatcher.dispatch_once()
        return result

    def ends(self, result: DispatchResult, outcome: Outcome, tokens: int = 0) -> None:
        started = self.scene.start(result.run_id, self.worker)
        if tokens:
            spent = Spent(tokens_in=tokens)
            spending = RunSpending(run_id=started.run.id, bead=started.bead.key, spent=spent)
            self.scene.store.guarding.charge(spending)
        assert self.scene.report(started, outcome)
        assert self.results.settle(started.run.id) is not None

    def fails(self, times: int, outcome: Outcome = BUSY) -> None:
        for _ in range(times):
            self.ends(self.goes(priority=1), outcome)

    def passes(self, time: timedelta) -> None:
        self.scene.clock.at += time
        self.scene.store.swarm.heartbeat(self.worker)

    def record(self, name: str = "main") -> ProviderRecord:
        found: ProviderRecord = self.scene.store.providers.all()[name]
        return found

    def why(self, key: Any) -> str:
        return Explainer(self.scene.store, self.settings).why(self.scene.read(key))


@pytest.fixture
def open_hall(scene: Any, bus: Any, configured: Callable[..., Settings]) -> Callable[..., Hall]:
    """Given a function that opens a hall with providers of these names, and with these runners of the role."""

    def make(*names: str, runners: tuple[str, ...] = ("model",)) -> Hall:
        settings = configured(
            guards={"breaker_failures": 50, "max_failures": 50},
            providers={name: {"kind": "openai", "model": "m"} for name in names},
            runners={"model": {"kind": "llm"}, "own": {"kind": "command", "argv": ("true",)}},
            roles={"dev": {"runners": runners}},
        )
        return Hall(scene, bus, settings)

    return make


def test_the_claim_names_the_provider_and_the_next_one_after_a_failure(open_hall: Any) -> None:
    hall = open_hall("weak", "strong")
    first = hall.goes(title="Mend a typo")
    assert (first.dispatched, first.provider_id) == (True, "weak")
    assert hall.scene.run(first.run_id).provider == "weak"
    (claimed,) = hall.scene.events("run.claimed")
    assert claimed.data["provider"] == "weak"
    hall.ends(first, BUSY)
    assert (hall.record("weak").failures, hall.record("weak").error) == (1, "weak: it is busy (status 429).")
    hall.passes(timedelta(minutes=1))
    again = hall.dispatcher.dispatch_once()
    assert (again.bead_id, again.provider_id) == (first.bead_id, "strong")
    hall.ends(again, DONE)
    assert hall.record("strong").succeeded_at == hall.scene.clock.at


def test_a_provider_that_is_down_is_passed_over(open_hall: Any) -> None:
    hall = open_hall("weak", "strong")
    for _ in range(3):
        hall.ends(hall.goes(title="Mend a typo", priority=1), BUSY)
    assert hall.goes(title="Mend a typo", priority=1).provider_id == "strong"


def test_beads_are_refused_while_all_are_down_and_one_tries_after_the_wait(open_hall: Any) -> None:
    hall = open_hall("main")
    hall.fails(3)
    key = hall.bead(priority=1)
    result = hall.dispatcher.dispatch_once()
    assert (result.dispatched, result.error) == (False, DOWN)
    assert (hall.scene.read(key).refusal, hall.why(key)) == (DOWN, DOWN)

    hall.passes(timedelta(seconds=30))
    hall.bead(priority=1)
    tried = hall.dispatcher.dispatch()
    assert [one.provider_id for one in tried] == ["main"], "one on trial is given to one run"
    assert not hall.dispatcher.dispatch(), "nor to another one in the next round"
    hall.ends(tried[0], BUSY)
    hall.passes(timedelta(seconds=59))
    assert not hall.dispatcher.dispatch()
    hall.passes(timedelta(seconds=1))
    (tried,) = hall.dispatcher.dispatch()
    hall.ends(tried, DONE)
    assert hall.record().failures == 0
    assert len(hall.dispatcher.dispatch()) > 1
    told = [(event.kind, event.data["failures"]) for event in hall.scene.events("provider.failed", "provider.answers")]
    assert told == [*[("provider.failed", number) for number in (1, 2, 3, 4)], ("provider.answers", 0)]


def test_a_role_with_another_runner_goes_on_by_that(open_hall: Any) -> None:
    hall = open_hall("main", runners=("own", "model"))
    hard = {"title": "Mend the deadlock", "issue_type": "feature", "priority": 1}
    for _ in range(3):
        hall.ends(hall.goes(**hard), BUSY)
    result = hall.goes(**hard)
    assert (result.dispatched, result.provider_id) == (True, None)


@pytest.mark.parametrize(
    ("outcome", "tokens", "failures"),
    [(Failed(cause="exit 1"), 0, 2), (Failed(cause="exit 1"), 50, 0), (Failed(cause="limit of the run"), 9, 0)],
)
def test_a_failure_of_the_work_is_none_of_the_provider(
    open_hall: Any, outcome: Outcome, tokens: int, failures: int
) -> None:
    hall = open_hall("main")
    hall.fails(2)
    hall.ends(hall.goes(priority=1), outcome, tokens)
    assert hall.record().failures == failures


def test_a_human_lets_all_go_again(open_hall: Any) -> None:
    hall = open_hall("main")
    hall.fails(3)
    hall.bead(priority=1)
    assert not hall.dispatcher.dispatch()
    assert hall.scene.store.providers.forget_failures("main")
    assert not hall.scene.store.providers.forget_failures("main")
    assert hall.dispatcher.dispatch()


def test_runs_without_a_provider_write_nothing_of_one(open_hall: Any) -> None:
    hall = open_hall("main", runners=("own",))
    hall.ends(hall.goes(), DONE)
    assert hall.scene.store.providers.all() == {}
