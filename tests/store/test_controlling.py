"""Control: runs that are ended by a human, beads that are held back and let go on, and the pause before a stop."""

from typing import Any

import pytest

from dispatch.errors import NotFoundError, RefusedError
from dispatch.models.decision import RulingEffect
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.outcome import Cancelled, Completed, Failed
from dispatch.models.run import StoppedRuns
from dispatch.models.states import RunState, StopReason

HELD = "cancelled by ada: Not like this."
ANEW = RulingEffect(renews_limit=True)


def cancel(scene: Any, key: BeadKey) -> StoppedRuns:
    stopped: StoppedRuns = scene.store.control.cancel(key, by="ada", reason="Not like this.")
    return stopped


def let_go_on(scene: Any, key: BeadKey, effect: RulingEffect = ANEW, **more: Any) -> StoppedRuns:
    stopped: StoppedRuns = scene.store.control.let_go_on(key, effect, by="ada", **more)
    return stopped


def is_ready(scene: Any, key: BeadKey) -> bool:
    return key in {bead.key for bead in scene.store.reading.ready(key.project_id)}


def refused(scene: Any, key: BeadKey, problem: str) -> None:
    before = scene.read(key)
    with pytest.raises(RefusedError, match=problem):
        cancel(scene, key)
    assert scene.read(key) == before


def test_a_pending_run_is_taken_back_and_its_bead_is_on_hold(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    run_id = scene.claimed(key)
    assert cancel(scene, key) == StoppedRuns(withdrawn=1)
    assert scene.run(run_id).state is RunState.WITHDRAWN
    assert scene.agents_of(worker)[0].state == "idle"
    bead = scene.read(key)
    assert (bead.status, bead.hold, bead.hops) == ("open", HELD, 0)
    assert not is_ready(scene, key)
    assert scene.claim(key) is None
    assert scene.kinds(key)[-3:] == ["run.withdrawn", "bead.open", "bead.held"]


def test_a_running_agent_is_asked_to_stop_and_its_bead_comes_back_on_hold(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    assert cancel(scene, key) == StoppedRuns(running=1)
    assert scene.store.running.renew(started.run.id, started.token).stop_reason is StopReason.CANCEL
    scene.report(started, Cancelled(cause="cancel"), "abc", base_sha="000")
    scene.settle(started.run.id)
    bead = scene.read(key)
    assert (bead.status, bead.hold, bead.head_sha, bead.hops, bead.failures) == ("open", HELD, "abc", 0, 0)
    assert not is_ready(scene, key)
    refused(scene, key, "on hold")


def test_of_a_step_of_several_the_waiting_are_taken_back_and_the_running_asked(scene: Any) -> None:
    worker = scene.worker(agents=3)
    key = scene.bead()
    handover = scene.claim(key, scene.agents_of(worker))
    scene.start(handover.run_ids[1], worker)
    assert cancel(scene, key) == StoppedRuns(withdrawn=2, running=1)


def test_an_agent_that_finished_all_the_same_has_finished(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    cancel(scene, key)
    scene.report(started, Completed(nothing_to_do=True))
    scene.settle(started.run.id)
    assert (scene.read(key).status, scene.read(key).hold) == ("closed", "")


def test_what_no_agent_works_on_cannot_be_cancelled(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    refused(scene, key, "Nothing runs for shop/shop-1")
    started = scene.start(scene.claimed(key), worker)
    scene.report(started, Completed(), "abc", base_sha="000")
    refused(scene, key, "has ended, and what it came to is being settled")
    scene.settle(started.run.id)
    refused(scene, key, "its work lands")
    scene.store.edits.close(key, "")
    refused(scene, key, "is closed, and no run of ours holds it")
    with pytest.raises(NotFoundError):
        cancel(scene, BeadKey.of("shop", "nope"))


def test_a_retry_lifts_hold_cooldown_failures_and_the_limit(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    scene.work(key, worker, Failed(cause="exit 1"))
    assert not is_ready(scene, key), "it cools down"
    let_go_on(scene, key)
    bead = scene.read(key)
    assert (bead.failures, bead.hops, bead.hop_allowance) == (0, 1, 1)
    assert is_ready(scene, key)
    scene.claimed(key)
    cancel(scene, key)
    let_go_on(scene, key)
    assert scene.read(key).hold == ""
    assert is_ready(scene, key)
    assert scene.kinds(key)[-1] == "bead.let_go_on"


def test_a_bead_that_is_about_to_come_back_may_be_let_go_on_already(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead()
    started = scene.start(scene.claimed(key), worker)
    with pytest.raises(RefusedError, match=r"An agent has shop/shop-1 now \(running\)"):
        let_go_on(scene, key)
    cancel(scene, key)
    let_go_on(scene, key)
    scene.report(started, Cancelled(cause="cancel"))
    scene.settle(started.run.id)
    assert is_ready(scene, key)


def test_a_bead_is_given_to_another_role_and_only_with_cancel_taken_from_its_agent(scene: Any) -> None:
    worker = scene.worker()
    key = scene.bead(role="dev")
    to_qa = RulingEffect(renews_limit=True, role="qa")
    started = scene.start(scene.claimed(key), worker)
    with pytest.raises(RefusedError, match="An agent has"):
        let_go_on(scene, key, to_qa)
    assert let_go_on(scene, key, to_qa, cancel=True) == StoppedRuns(running=1)
    scene.report(started, Cancelled(cause="cancel"))
    scene.settle(started.run.id)
    bead = scene.read(key)
    assert (bead.status, bead.role_hint, bead.role_reason) == ("open", "qa", "ada decided that it goes to qa.")
    assert is_ready(scene, key)
    # An import that says nothing new leaves it there.
    scene.bead(role="dev", description="More words.", updated_at=scene.clock.at)
    assert scene.read(key).role_hint == "qa"


def test_closing_by_hand_ends_a_hold(scene: Any) -> None:
    scene.worker()
    key = scene.bead()
    scene.claimed(key)
    cancel(scene, key)
    scene.store.edits.close(key, "")
    assert scene.read(key).hold == ""
    with pytest.raises(RefusedError, match="is closed"):
        let_go_on(scene, key)


def test_a_stop_takes_back_what_waits_and_asks_what_runs_only_when_it_is_to(scene: Any) -> None:
    worker = scene.worker(agents=2)
    first, second = scene.bead("shop-1"), scene.bead("shop-2")
    running = scene.start(scene.claimed(first), worker)
    waiting = scene.claimed(second)
    scene.store.control.hold_back(None, "Stopped by ada.")
    with scene.store.dispatching.round() as round_:
        assert (round_.supply().paused, round_.supply().pause_reason) == (True, "Stopped by ada.")

    assert scene.store.control.end_runs(ProjectId("shop"), "A stop.", running=False) == StoppedRuns(
        withdrawn=1, running=1
    )
    assert (scene.run(waiting).state, scene.run(running.run.id).stop_reason) == (RunState.WITHDRAWN, None)
    assert scene.store.control.under_way() == scene.store.control.under_way(ProjectId("shop")) == 1

    assert scene.store.control.end_runs(ProjectId("shop"), "A stop.", running=True) == StoppedRuns(running=1)
    assert scene.run(running.run.id).stop_reason is StopReason.STOP
    scene.report(running, Cancelled(cause="stop"))
    assert scene.store.control.under_way() == 0
    scene.settle(running.run.id)
    assert is_ready(scene, first), "it is not on hold: only the pause keeps it"


def test_a_project_alone_is_held_back(scene: Any) -> None:
    scene.store.control.hold_back(ProjectId("shop"), "A stop.")
    assert scene.store.projects.get(ProjectId("shop")).pause_reason == "A stop."
    with scene.store.dispatching.round() as round_:
        assert not round_.supply().paused
    with pytest.raises(NotFoundError):
        scene.store.control.hold_back(ProjectId("nope"), "A stop.")


def test_pending_runs_of_a_paused_role_are_taken_back(scene: Any) -> None:
    scene.worker(agents=1)
    key = scene.bead()
    run_id = scene.claimed(key)
    times = scene.settings.dispatch
    patience = {"max_publishes": 3, "backoff": times.republish_after, "lease": times.lease}
    scene.store.guarding.set_role_paused("qa", True)
    assert scene.store.rescue.withdraw_unstartable(**patience) == []
    scene.store.guarding.set_role_paused("dev", True, "It learns.")
    assert scene.store.rescue.withdraw_unstartable(**patience) == [run_id]
    assert (scene.read(key).status, scene.read(key).refusal) == ("open", "The role dev is paused.")
    with scene.store.dispatching.round() as round_:
        assert round_.supply().paused_roles == {"qa": "", "dev": "It learns."}
    scene.store.guarding.set_role_paused("dev", False)
    with scene.store.dispatching.round() as round_:
        assert round_.supply().paused_roles == {"qa": ""}
