"""The breaker: a row of equal failures parks a project; a probe that works, or a human, opens it again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher
from dispatch.models.dispatching import StatusState
from dispatch.models.guarding import FailureRow
from dispatch.models.identity import ProjectId
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, NeedsInput, Outcome, TimedOut
from dispatch.models.states import RunState

SHOP, BARN = ProjectId("shop"), ProjectId("barn")
KEY = Failed(cause="refused API key")
DONE = Completed(nothing_to_do=True)
WAIT = timedelta(minutes=5)
REASON = (
    "The last 5 runs of shop failed for the same cause (refused API key): {probe}, "
    "and `dispatch resume shop` lets all go."
)


class Yard:
    """The scene with one worker, in which each run is of a new bead."""

    def __init__(self, scene: Any, bus: Any, settings: Any) -> None:
        self.scene = scene
        self.dispatcher = Dispatcher(scene.store, bus, settings)
        self.worker = scene.worker(agents=2)
        self.beads = 0

    def runs(self, *outcomes: Outcome, project: ProjectId = SHOP) -> None:
        """Let one run after the other end so, each of another bead, the guards aside."""
        for outcome in outcomes:
            self.scene.work(self.new_bead(project, priority=0), self.worker, outcome)

    def new_bead(self, project: ProjectId = SHOP, **fields: Any) -> Any:
        self.beads += 1
        return self.scene.bead(f"{project}-{self.beads}", project=project, **fields)

    def ends(self, run_id: Any, outcome: Outcome) -> None:
        """Let a dispatched run start, and end so."""
        started = self.scene.start(run_id, self.worker)
        assert self.scene.report(started, outcome)
        self.scene.settle(run_id)

    def row(self, project: ProjectId = SHOP) -> FailureRow | None:
        with self.scene.store.dispatching.look() as round_:
            found: FailureRow | None = round_.supply(lock=False).failing.get(project)
        return found

    def failures(self) -> int:
        row = self.row()
        return row.failures if row is not None else 0


@pytest.fixture
def yard(scene: Any, bus: Any, settings: Any) -> Yard:
    return Yard(scene, bus, settings)


def test_five_runs_in_a_row_that_fail_for_one_cause_park_the_project(yard: Yard) -> None:
    yard.runs(*[KEY] * 4)
    yard.new_bead()
    assert len(yard.dispatcher.plan().placements) == 1
    yard.runs(KEY)
    result = yard.dispatcher.dispatch_once()
    assert result.error == REASON.format(probe="one bead is tried from 2026-09-25 12:05:00 UTC on")
    status = yard.dispatcher.system_status(SHOP)
    assert (status.state, status.reason) == (StatusState.PARKED, result.error)
    assert yard.dispatcher.system_status().reason == result.error


@pytest.mark.parametrize(
    ("between", "failures"),
    [
        (DONE, 1),
        (NeedsInput(question="Which?"), 1),
        (Failed(cause="exit 1"), 1),
        (TimedOut(limit_seconds=60), 1),
        (Lost(), 5),
        (Cancelled(cause="handback"), 5),
    ],
)
def test_only_what_shows_that_runs_can_work_ends_the_row(yard: Yard, between: Outcome, failures: int) -> None:
    yard.runs(*[KEY] * 4, between, KEY)
    assert yard.failures() == failures


@pytest.mark.parametrize("outcome", [TimedOut(limit_seconds=60), Looped(reason="again and again")])
def test_running_out_of_time_and_running_in_circles_are_causes_too(yard: Yard, outcome: Outcome) -> None:
    yard.runs(*[outcome] * 5)
    yard.new_bead()
    assert not yard.dispatcher.dispatch_once().dispatched


def test_failures_of_one_project_say_nothing_of_another(yard: Yard, repository: Any) -> None:
    yard.scene.store.projects.add(BARN, repository)
    yard.runs(KEY, KEY, KEY)
    yard.runs(KEY, KEY, project=BARN)
    assert yard.failures() == 3
    yard.runs(KEY, KEY)
    yard.new_bead()
    yard.new_bead(BARN)
    assert [result.project_id for result in yard.dispatcher.dispatch()] == [BARN]
    assert yard.dispatcher.system_status(SHOP).state is StatusState.PARKED
    assert yard.dispatcher.system_status(BARN).state is StatusState.ACTIVE


def test_after_a_wait_one_bead_at_a_time_is_tried(yard: Yard) -> None:
    yard.runs(*[KEY] * 5)
    for _ in range(3):
        yard.new_bead(role="dev")
    yard.new_bead()
    yard.scene.clock.advance(WAIT - timedelta(seconds=1))
    yard.scene.store.swarm.heartbeat(yard.worker)
    assert yard.dispatcher.dispatch() == []
    yard.scene.clock.advance(timedelta(seconds=1))
    assert len(yard.dispatcher.plan().placements) == 1
    assert len(yard.dispatcher.dispatch()) == 1
    assert yard.dispatcher.dispatch() == []
    assert yard.dispatcher.plan().parked == {SHOP: REASON.format(probe="one bead is being tried")}


def _probe(yard: Yard) -> Any:
    yard.runs(*[KEY] * 5)
    for _ in range(3):
        yard.new_bead()
    yard.scene.clock.advance(WAIT)
    yard.scene.store.swarm.heartbeat(yard.worker)
    (result,) = yard.dispatcher.dispatch()
    return result.run_id


def test_a_probe_that_works_lets_all_go(yard: Yard) -> None:
    yard.ends(_probe(yard), DONE)
    assert yard.row() is None
    assert len(yard.dispatcher.dispatch()) == 2


def test_a_probe_that_fails_the_same_way_is_followed_by_another_wait(yard: Yard) -> None:
    yard.ends(_probe(yard), KEY)
    assert yard.dispatcher.dispatch() == []
    yard.scene.clock.advance(WAIT)
    yard.scene.store.swarm.heartbeat(yard.worker)
    assert len(yard.dispatcher.dispatch()) == 1


def test_a_probe_that_is_lost_makes_room_for_the_next_at_once(yard: Yard) -> None:
    yard.ends(_probe(yard), Lost())
    assert len(yard.dispatcher.dispatch()) == 1


def test_a_human_can_let_it_go_on(yard: Yard) -> None:
    yard.runs(*[KEY] * 5)
    yard.new_bead()
    yard.new_bead()
    closed = yard.scene.store.guarding.close_breaker(SHOP)
    assert (closed.cause, closed.failures) == ("refused API key", 5)
    assert len(yard.dispatcher.dispatch()) == 2
    assert yard.scene.store.guarding.close_breaker(SHOP) is None
    assert [event.data["cause"] for event in yard.scene.events("project.breaker_closed")] == ["refused API key"]


def test_how_many_failures_it_takes_is_a_setting(yard: Yard, bus: Any, configured: Callable[..., Any]) -> None:
    dispatcher = Dispatcher(yard.scene.store, bus, configured(guards={"breaker_failures": 2}))
    yard.runs(KEY, KEY)
    yard.new_bead()
    assert not dispatcher.dispatch_once().dispatched
    assert yard.dispatcher.dispatch_once().dispatched


def test_runs_that_end_at_once_are_all_counted(yard: Yard, at_once: Any) -> None:
    worker = yard.scene.worker("many@host", agents=6)
    agents = yard.scene.agents_of(worker)
    ids = []
    for agent in agents:
        run_id = yard.scene.claimed(yard.new_bead(), [agent])
        yard.scene.report(yard.scene.start(run_id, worker), KEY)
        ids.append(run_id)
    at_once([lambda run_id=run_id: yard.scene.settle(run_id) for run_id in ids])
    assert yard.failures() == 6
    assert {yard.scene.run(run_id).state for run_id in ids} == {RunState.SETTLED}
