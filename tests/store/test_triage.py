"""A bead that two agents pass to and fro goes to triage, and its tracker's file does not undo that."""

from datetime import timedelta
from typing import Any

from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Lost
from dispatch.models.routing import Route
from tests.store.trial import Trial, new


def to_and_fro(trial: Trial, runs: int = 6) -> Any:
    settled = None
    for number in range(runs):
        settled = trial.run(new(number), by=number % 2)
    return settled


def test_six_runs_to_and_fro_between_two_agents_send_a_bead_to_triage(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    manager = scene.worker("boss@host", roles=("engineering-manager",))
    trial.workers.append(manager)
    to_and_fro(trial, 5)
    assert trial.bead.priority == 2
    assert trial.past().agents == [trial.agents[number % 2].id for number in range(5)]
    trial.run(new(5), by=1)
    bead = trial.bead
    assert (bead.priority, bead.role_hint, bead.blocked) == (0, "engineering-manager", False)
    assert bead.role_reason == "Two agents passed it to and fro in 6 runs; triage: engineering-manager."
    assert bead.triaged_at == scene.clock.at
    assert scene.kinds(trial.key)[-1] == "bead.triaged"
    assert trial.past().agents == [], "what was before triage is over"


def test_a_third_agent_in_between_makes_it_none(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=3)
    for number, by in enumerate((0, 1, 0, 1, 2, 1, 0, 1, 0, 1)):
        trial.run(new(number), by=by)
    assert (trial.bead.priority, trial.bead.triaged_at) == (2, None)


def test_runs_that_are_no_hops_do_not_part_the_others(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=3)
    for number, by in enumerate((0, 1, 0, 1, 0)):
        trial.run(new(number), by=by)
        trial.run(outcome=Lost(), by=2)
    trial.run(new(9), by=1)
    assert trial.bead.triaged_at == scene.clock.at


def test_the_agent_of_a_worker_that_was_started_again_is_another_one(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    to_and_fro(trial, 5)
    scene.store.swarm.leave(trial.workers[1])
    trial.workers[1] = scene.worker("w1@host")
    trial.run(new(5), by=1)
    assert trial.bead.triaged_at is None


def test_a_bead_that_goes_to_and_fro_after_triage_too_goes_to_a_human(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    to_and_fro(trial)
    assert (trial.bead.role_hint, trial.bead.priority) == ("", 0)
    to_and_fro(trial, 5)
    assert not trial.bead.blocked
    trial.run(new(9), by=1)
    assert trial.bead.blocked
    assert trial.escalated_for == "two agents pass it to and fro"


# The tracker's file, and triage


def changes(scene: Any, key: BeadKey) -> dict[str, Any]:
    (mine,) = (document for document in scene.store.imports.documents(key.project_id) if document.id == key.bead_id)
    return dict(mine.changes)


def test_an_export_shows_the_priority_and_when_it_was_changed_and_nothing_else(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    to_and_fro(trial)
    stamp = scene.clock.at.isoformat().replace("+00:00", "Z")
    assert changes(scene, trial.key) == {"priority": 0, "updated_at": stamp}


def test_an_import_does_not_undo_triage(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    trial.workers.append(scene.worker("boss@host", roles=("cto",)))
    to_and_fro(trial)
    scene.clock.advance(timedelta(hours=1))
    trial.tell(priority=2, title="Do it well")
    bead = trial.bead
    assert (bead.title, bead.priority, bead.role_hint) == ("Do it well", 0, "cto")
    stamp = scene.clock.at.isoformat().replace("+00:00", "Z")
    assert changes(scene, trial.key) == {"priority": 0, "updated_at": stamp}


def test_a_human_who_gives_it_another_priority_or_role_is_heard(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    trial.workers.append(scene.worker("boss@host", roles=("cto",)))
    to_and_fro(trial)
    scene.clock.advance(timedelta(hours=1))
    trial.tell(priority=4)
    assert (trial.bead.role_hint, trial.bead.priority, changes(scene, trial.key)) == ("cto", 4, {})
    scene.clock.advance(timedelta(hours=1))
    trial.tell(priority=4, role="dev")
    assert (trial.bead.role_hint, trial.bead.priority) == ("dev", 4)
    scene.clock.advance(timedelta(hours=1))
    trial.tell(priority=4)
    assert trial.bead.role_hint == "", "its triage is over"


def test_what_our_export_says_comes_back_as_the_trackers_own_word(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    trial.workers.append(scene.worker("boss@host", roles=("cto",)))
    to_and_fro(trial)
    trial.tell(priority=0)
    assert (trial.bead.role_hint, trial.bead.priority, changes(scene, trial.key)) == ("cto", 0, {})


def test_a_new_routing_of_all_beads_leaves_triage_alone(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    trial.workers.append(scene.worker("boss@host", roles=("cto",)))
    to_and_fro(trial)
    other = scene.bead("shop-2")
    scene.store.routing.reroute(trial.key.project_id, "other names", lambda _: Route(role="qa"))
    assert (trial.bead.role_hint, scene.read(other).role_hint) == ("cto", "qa")


def test_a_bead_that_its_tracker_closes_is_left_as_that_has_it(scene: Any) -> None:
    trial = Trial(scene, limit=100, workers=2)
    to_and_fro(trial)
    trial.tell(priority=2, status="closed")
    assert (trial.bead.priority, changes(scene, trial.key)) == (2, {})
