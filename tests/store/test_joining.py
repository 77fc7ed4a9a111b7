"""Joining: a step of several runs moves its bead when the last of them has ended, and only then."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from dispatch.models.identity import BeadKey, RunId
from dispatch.models.outcome import Completed, Failed, Outcome
from dispatch.models.settling import BeadEffect, JoinedStep
from dispatch.models.states import BeadEvent, BeadStatus
from dispatch.results import judge

AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]
SHA = "c" * 40


def _reported_step(scene: Any, key: BeadKey, outcomes: Sequence[Outcome]) -> list[RunId]:
    """Bring a step of so many runs to where all have reported."""
    worker = scene.worker(agents=len(outcomes))
    handover = scene.claim(key, scene.agents_of(worker))
    for run_id, outcome in zip(handover.run_ids, outcomes, strict=True):
        assert scene.report(scene.start(run_id, worker), outcome)
    return list(handover.run_ids)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_only_the_last_run_of_a_step_moves_its_bead_whatever_the_order(scene: Any, order: tuple[int, ...]) -> None:
    key = scene.bead()
    runs = _reported_step(scene, key, [Completed(nothing_to_do=True)] * 3)
    for position in order[:2]:
        settled = scene.settle(runs[position])
        assert settled.effect is None
        assert scene.read(key).status == BeadStatus.IN_PROGRESS
    assert scene.settle(runs[order[2]]).effect is not None
    assert scene.read(key).status == BeadStatus.CLOSED
    assert scene.read(key).hops == 1, "a step is one dispatch"


def test_of_settles_of_one_step_at_once_exactly_one_moves_the_bead(scene: Any, at_once: AtOnce) -> None:
    key = scene.bead()
    runs = _reported_step(scene, key, [Completed(nothing_to_do=True)] * 6)
    answers = at_once([lambda run_id=run_id: scene.settle(run_id) for run_id in runs])
    assert all(answer is not None and not isinstance(answer, Exception) for answer in answers), answers
    assert sum(answer.effect is not None for answer in answers) == 1
    assert scene.read(key).status == BeadStatus.CLOSED


def test_the_work_of_the_writing_run_is_kept_when_a_reviewer_refuses_it(scene: Any) -> None:
    key = scene.bead()
    worker = scene.worker(agents=2)
    handover = scene.claim(key, scene.agents_of(worker))
    writer, reviewer = (scene.start(run_id, worker) for run_id in handover.run_ids)
    scene.report(writer, Completed(), SHA)
    scene.report(reviewer, Failed(cause="rejected"))
    scene.settle(writer.run.id)
    scene.settle(reviewer.run.id)
    bead = scene.read(key)
    assert (bead.status, bead.failures, bead.head_sha) == (BeadStatus.OPEN, 1, SHA)


def test_a_step_of_which_one_run_was_withdrawn_is_joined_by_the_others(scene: Any) -> None:
    key = scene.bead()
    worker = scene.worker(agents=3)
    handover = scene.claim(key, scene.agents_of(worker))
    started = [scene.start(run_id, worker) for run_id in handover.run_ids[:2]]
    scene.store.projects.set_paused(key.project_id, True)
    rescue = {"max_publishes": 3, "backoff": timedelta(minutes=1), "lease": timedelta(seconds=45)}
    assert scene.store.rescue.withdraw_unstartable(**rescue) == [handover.run_ids[2]]
    assert scene.read(key).status == BeadStatus.IN_PROGRESS
    for one in started:
        scene.report(one, Completed(nothing_to_do=True))
    assert scene.settle(started[0].run.id).effect is None
    assert scene.settle(started[1].run.id).effect is not None
    assert scene.read(key).status == BeadStatus.CLOSED


def test_a_step_whose_last_open_run_was_withdrawn_is_joined_by_the_sweep(scene: Any) -> None:
    key = scene.bead()
    worker = scene.worker(agents=2)
    handover = scene.claim(key, scene.agents_of(worker))
    started = scene.start(handover.run_ids[0], worker)
    scene.report(started, Failed(cause="tests"))
    assert scene.settle(started.run.id).effect is None
    assert scene.store.settling.stale_steps() == []
    scene.store.projects.set_paused(key.project_id, True)
    scene.store.rescue.withdraw_unstartable(max_publishes=3, backoff=timedelta(minutes=1), lease=timedelta(seconds=45))
    assert scene.read(key).status == BeadStatus.IN_PROGRESS
    assert scene.store.settling.stale_steps() == [handover.step_id]

    def decide(joined: JoinedStep) -> BeadEffect:
        return judge(joined, scene.settings)

    assert scene.store.settling.join(handover.step_id, decide).event is BeadEvent.RETURN
    assert scene.store.settling.join(handover.step_id, decide) is None
    assert (scene.read(key).status, scene.read(key).failures) == (BeadStatus.OPEN, 1)


def test_a_lost_run_and_a_finished_one_end_their_step_together(scene: Any) -> None:
    key = scene.bead()
    worker = scene.worker(agents=2)
    handover = scene.claim(key, scene.agents_of(worker))
    lost, finished = (scene.start(run_id, worker) for run_id in handover.run_ids)
    scene.report(finished, Completed(nothing_to_do=True))
    scene.settle(finished.run.id)
    scene.clock.advance(timedelta(seconds=45))
    assert scene.store.rescue.expire_leases() == [lost.run.id]
    assert scene.settle(lost.run.id).effect.event is BeadEvent.RETURN
    assert (scene.read(key).status, scene.read(key).hops) == (BeadStatus.OPEN, 0)
