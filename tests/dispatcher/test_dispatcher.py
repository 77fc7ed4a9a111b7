"""The dispatcher: what goes is in the database first and on the bus next."""

from datetime import timedelta
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher
from dispatch.errors import TickBusyError
from dispatch.models.dispatching import StatusState
from dispatch.models.identity import ProjectId
from dispatch.models.outcome import Completed
from dispatch.models.states import RunState

SHOP, BARN = ProjectId("shop"), ProjectId("barn")


@pytest.fixture
def dispatcher(scene: Any, bus: Any) -> Dispatcher:
    return Dispatcher(scene.store, bus, scene.settings)


def test_at_most_one_bead_is_dispatched_and_its_result_says_all(scene: Any, bus: Any, dispatcher: Dispatcher) -> None:
    scene.worker(agents=3)
    scene.bead("shop-1", role="dev", priority=1)
    scene.bead("shop-2", role="dev", priority=0)
    result = dispatcher.dispatch_once()
    (task,) = bus.tasks
    run = scene.run(task.run_id)
    assert result.dispatched
    assert (result.project_id, result.bead_id, result.role, result.error) == ("shop", "shop-2", "dev", None)
    assert (result.run_id, result.agent_id) == (run.id, run.agent_id)
    assert result.reason == "It asks for the role dev."
    assert (run.state, run.publishes, run.published_at) == (RunState.PENDING, 1, scene.clock.at)
    assert (task.bead_id, task.attempt, task.timeout_seconds) == ("shop-2", 1, 1800)


def test_everything_that_can_go_goes(scene: Any, bus: Any, dispatcher: Dispatcher) -> None:
    scene.worker(agents=3)
    for number in range(5):
        scene.bead(f"shop-{number}")
    assert [result.bead_id for result in dispatcher.dispatch()] == ["shop-0", "shop-1", "shop-2"]
    assert dispatcher.dispatch() == []
    assert len(bus.tasks) == 3


def test_no_more_go_than_the_limit(scene: Any, dispatcher: Dispatcher) -> None:
    scene.worker(agents=3)
    for number in range(3):
        scene.bead(f"shop-{number}")
    assert len(dispatcher.dispatch(limit=2)) == 2


def test_a_busy_role_hides_nobody(scene: Any, dispatcher: Dispatcher) -> None:
    scene.worker("dev@host", roles=("dev",))
    scene.worker("qa@host", roles=("qa",))
    for number in range(50):
        scene.bead(f"shop-{number}", role="dev", priority=0)
    scene.bead("shop-qa", role="qa", priority=4)
    assert {result.bead_id for result in dispatcher.dispatch()} == {"shop-0", "shop-qa"}
    scene.bead("shop-qa2", role="qa", priority=4)
    scene.worker("qa2@host", roles=("qa",))
    assert [result.bead_id for result in dispatcher.dispatch()] == ["shop-qa2"]


def test_one_project_can_be_dispatched_alone(scene: Any, dispatcher: Dispatcher, repository: Any) -> None:
    scene.worker(agents=2)
    scene.store.projects.add(BARN, repository)
    scene.bead("shop-1", priority=0)
    scene.bead("barn-1", project=BARN)
    assert [result.project_id for result in dispatcher.dispatch(BARN)] == [BARN]


def test_a_bus_that_is_away_leaves_the_runs_pending_for_a_later_tick(
    scene: Any, bus: Any, dispatcher: Dispatcher
) -> None:
    scene.worker(agents=2)
    key, other = scene.bead("shop-1"), scene.bead("shop-2")
    bus.away = True
    assert len(dispatcher.dispatch()) == 2
    runs = scene.store.reading.runs(open_only=True)
    assert {(run.state, run.publishes, run.published_at) for run in runs} == {(RunState.PENDING, 0, None)}
    assert {scene.read(key).status, scene.read(other).status} == {"in_progress"}
    bus.away = False
    scene.clock.advance(timedelta(seconds=5))
    again = scene.store.rescue.unpublished(timedelta(seconds=60))
    assert dispatcher.hand_over(again) == 2
    assert {task.run_id for task in bus.tasks} == {run.id for run in runs}
    assert {run.publishes for run in scene.store.reading.runs(open_only=True)} == {1}
    assert scene.store.rescue.unpublished(timedelta(seconds=60)) == []


def test_runs_of_one_step_travel_together(scene: Any, bus: Any, dispatcher: Dispatcher) -> None:
    worker = scene.worker(agents=3)
    handover = scene.claim(scene.bead(), scene.agents_of(worker))
    assert dispatcher.hand_over([handover]) == 1
    assert [len(step) for step in bus.steps] == [3]


def test_a_plan_says_where_beads_would_go_and_changes_nothing(scene: Any, bus: Any, dispatcher: Dispatcher) -> None:
    scene.worker()
    key = scene.bead()
    plan = dispatcher.plan()
    assert [placement.bead for placement in plan.placements] == [key]
    assert scene.read(key).status == "open"
    assert scene.value("SELECT count(*) FROM runs") == 0
    assert bus.steps == []
    assert dispatcher.plan() == plan


def test_a_plan_does_not_wait_for_a_tick(scene: Any, dispatcher: Dispatcher) -> None:
    scene.worker()
    scene.bead()
    with scene.store.dispatching.round() as round_:
        round_.supply()
        assert len(dispatcher.plan().placements) == 1


def test_a_dispatch_leaves_the_field_to_a_tick_that_is_at_work(scene: Any, dispatcher: Dispatcher) -> None:
    with scene.store.dispatching.round(), pytest.raises(TickBusyError):
        dispatcher.dispatch()


def test_what_a_cap_keeps_back_is_noted_on_the_bead(scene: Any, bus: Any) -> None:
    settings = scene.settings.model_copy(
        update={"dispatch": scene.settings.dispatch.model_copy(update={"max_running": 1})}
    )
    dispatcher = Dispatcher(scene.store, bus, settings)
    scene.worker(agents=3)
    scene.bead("shop-1")
    waiting = scene.bead("shop-2")
    assert len(dispatcher.dispatch()) == 1
    assert scene.read(waiting).refusal == "As many runs as allowed are open (max_running = 1)."


# Status


def _park_reason(dispatcher: Dispatcher, project_id: ProjectId | None = None) -> str:
    result = dispatcher.dispatch_once(project_id)
    assert not result.dispatched
    status = dispatcher.system_status(project_id)
    assert status.state is StatusState.PARKED
    assert result.error == status.reason
    return status.reason


def test_before_the_first_look_nothing_is_known(dispatcher: Dispatcher) -> None:
    status = dispatcher.system_status()
    assert (status.state, status.reason) == (StatusState.PARKED, "No tick has looked yet.")


def test_a_parked_system_says_why(scene: Any, dispatcher: Dispatcher) -> None:
    assert _park_reason(dispatcher) == "No worker with agents is alive."
    worker = scene.worker()
    assert _park_reason(dispatcher) == "Nothing is ready for the agents that are idle."
    scene.store.projects.set_paused(SHOP, True, "lunch")
    assert _park_reason(dispatcher) == "Paused: lunch."
    scene.store.projects.set_paused(SHOP, False)
    scene.bead()
    assert dispatcher.dispatch_once().dispatched
    assert dispatcher.system_status().state is StatusState.ACTIVE
    assert dispatcher.dispatch_once().error == "All agents are busy."
    assert dispatcher.system_status() == dispatcher.system_status(SHOP)
    assert worker


def test_a_project_that_is_not_there_says_so(dispatcher: Dispatcher) -> None:
    assert dispatcher.dispatch_once(ProjectId("nowhere")).error == "There is no such project, or none at all."


def test_the_moment_of_a_status_is_that_of_its_change(scene: Any, dispatcher: Dispatcher) -> None:
    dispatcher.dispatch()
    first = dispatcher.system_status().updated_at
    scene.clock.advance(timedelta(minutes=1))
    dispatcher.dispatch()
    assert dispatcher.system_status().updated_at == first
    worker = scene.worker()
    dispatcher.dispatch()
    assert dispatcher.system_status().updated_at == scene.clock.at
    assert worker


def test_a_project_can_be_parked_alone(scene: Any, dispatcher: Dispatcher, repository: Any) -> None:
    worker = scene.worker(agents=2)
    scene.store.projects.add(BARN, repository)
    scene.store.projects.set_paused(BARN, True, "harvest")
    scene.bead("shop-1")
    scene.bead("barn-1", project=BARN)
    assert [result.project_id for result in dispatcher.dispatch()] == [SHOP]
    assert dispatcher.system_status().state is StatusState.ACTIVE
    assert dispatcher.system_status(SHOP).state is StatusState.ACTIVE
    assert dispatcher.system_status(BARN).reason == "Paused: harvest."
    assert worker


def test_a_look_at_one_project_does_not_speak_for_the_system(
    scene: Any, dispatcher: Dispatcher, repository: Any
) -> None:
    scene.worker()
    scene.store.projects.add(BARN, repository)
    scene.store.projects.set_paused(BARN, True, "harvest")
    dispatcher.dispatch()
    before = dispatcher.system_status()
    assert dispatcher.dispatch_once(BARN).error == "Paused: harvest."
    assert dispatcher.system_status() == before
    assert dispatcher.system_status(BARN).reason == "Paused: harvest."


def test_a_finished_run_leaves_the_system_parked_again(scene: Any, dispatcher: Dispatcher) -> None:
    worker = scene.worker()
    scene.bead()
    started = scene.start(dispatcher.dispatch_once().run_id, worker)
    scene.report(started, Completed(nothing_to_do=True))
    scene.settle(started.run.id)
    assert _park_reason(dispatcher) == "Nothing is ready for the agents that are idle."
