"""A bead over its runs: what of its past is read, and what a loop over its runs does to it in the database."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.identity import BeadKey
from dispatch.models.landing import Conflict
from dispatch.models.outcome import Completed, Lost, NeedsInput
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.results import ResultHandler
from dispatch.store import progress
from tests.loops.actions import act
from tests.store.trial import FAILED, Trial, new

COLUMNS = (
    "role, attempt, timeout_seconds, writes_branch, state, agent_name, publishes, settle_failures, created_at, outcome"
)
CROWD = (
    f"INSERT INTO runs (id, step_id, position, project_id, bead_id, {COLUMNS})"
    f" SELECT gen_random_uuid(), step_id, n, 'shop', 'shop-2', {COLUMNS} FROM runs, generate_series(1, 100) AS n",
    "INSERT INTO actions (run_id, at, action_type, action_data, result_hash, progress_key)"
    " SELECT runs.id, now(), 'read', '{}', n::text, 'read:' || n FROM runs, generate_series(1, 1000) AS n"
    " WHERE bead_id = 'shop-1' OR n <= 100",
    "ANALYZE runs",
    "ANALYZE actions",
)
"""Three hundred runs of another bead, each with a hundred actions, and a thousand more for each run of ours."""
SHA = "c" * 40


# The hop limit


def test_a_bead_that_makes_no_progress_goes_to_a_human_at_its_limit_and_not_before(scene: Any) -> None:
    trial = Trial(scene)
    for _ in range(2):
        trial.run(new(0))
        assert not trial.bead.blocked
    settled = trial.run(new(0))
    assert (trial.bead.hops, trial.bead.blocked) == (3, True)
    assert trial.escalated_for == "no progress after 3 runs"
    escalation = settled.effect.escalation
    assert escalation.progress.startswith("Files read: 3, ")
    assert [error.dispatch for error in escalation.errors] == [1, 2, 3]
    assert [error.error for error in escalation.errors] == ["failed: tests\nStill red."] * 3


def test_a_run_without_recorded_actions_made_no_progress(scene: Any) -> None:
    trial = Trial(scene)
    for number in range(2):
        trial.run(new(number))
    settled = trial.run()
    assert trial.escalated_for == "no progress after 3 runs"
    assert "recorded no action" in settled.effect.escalation.body


def test_a_bead_that_makes_progress_goes_on_up_to_five_times_the_limit(scene: Any) -> None:
    trial = Trial(scene, limit=2)
    for number in range(9):
        trial.run(new(number))
        assert not trial.bead.blocked
    trial.run(new(9))
    assert (trial.bead.hops, trial.bead.blocked) == (10, True)
    assert trial.escalated_for == "10 runs without an end"


def test_runs_that_are_no_hops_are_not_held_against_a_bead(scene: Any) -> None:
    trial = Trial(scene, limit=1)
    trial.run(new(1))
    for _ in range(4):
        trial.run(outcome=Lost())
    assert (trial.bead.hops, trial.bead.blocked) == (1, False)


def test_after_the_decision_a_bead_goes_on_and_is_judged_by_its_next_run(scene: Any) -> None:
    trial = Trial(scene, limit=1)
    trial.run()
    scene.store.edits.close(trial.decision().key, "Try the other way.")
    trial.run(new(1))
    assert not trial.bead.blocked
    trial.run(new(1))
    assert trial.bead.blocked


def test_a_landing_that_bounces_is_held_to_the_limit_too(scene: Any, bus: Any) -> None:
    trial = Trial(scene, limit=1)
    trial.run(outcome=Completed())
    handler = ResultHandler(scene.store, bus, scene.settings)
    with scene.store.units.begin() as tx:
        tx.connection.execute(text("UPDATE beads SET status = 'landing', head_sha = :sha"), {"sha": SHA})
    handler.landed(trial.bead, Conflict(output="README.md"))
    assert trial.bead.blocked
    assert trial.escalated_for == "no progress after 1 runs"


def test_who_asks_is_shown_with_what_was_done(scene: Any) -> None:
    trial = Trial(scene)
    settled = trial.run([act("read", "a.py")], NeedsInput(question="Which?"))
    assert settled.effect.escalation.progress.startswith("Files read: 1, ")


def test_a_run_that_cannot_be_settled_is_shown_with_what_was_done(
    scene: Any, bus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(scene)
    run_id = scene.claimed(trial.key)
    started = scene.start(run_id, trial.workers[0])
    scene.store.running.record_actions(run_id, [act("read", "a.py")])
    scene.report(started, FAILED)
    handler = ResultHandler(scene.store, bus, scene.settings)
    escalated: list[Any] = []
    monkeypatch.setattr(scene.store.settling, "escalate", lambda _key, escalation: escalated.append(escalation))
    monkeypatch.setattr("dispatch.results.handler.judge", lambda *_: 1 / 0)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            handler.try_settle(run_id)
    (escalation,) = escalated
    assert escalation.progress.startswith("Files read: 1, ")


# What is read


def test_what_is_read_is_parted_into_the_last_run_and_those_before(scene: Any) -> None:
    trial = Trial(scene, limit=100)
    trial.run(new(1))
    trial.run(new(2))
    past = trial.past()
    assert [action.progress_key for action in past.actions] == ["command:cat 1.py", "command:make"]
    assert [action.progress_key for action in past.last_actions] == ["command:cat 2.py", "command:make"]
    assert (past.attempts, past.moment) == (2, scene.clock.at)
    trial.run()
    past = trial.past()
    assert (len(past.actions), len(past.last_actions), past.attempts) == (4, 0, 3)


def test_a_new_run_gets_what_those_before_did_and_a_first_one_is_not_asked_for_it(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(scene, limit=100)
    asked: list[BeadKey] = []
    read = progress.actions_before
    monkeypatch.setattr(progress, "actions_before", lambda tx, key: asked.append(key) or read(tx, key))
    trial.run(new(1))
    assert asked == []
    scene.clock.advance(timedelta(minutes=10))
    scene.store.swarm.heartbeat(trial.workers[0])
    started = scene.start(scene.claimed(trial.key), trial.workers[0])
    assert asked == [trial.key]
    assert [action.progress_key for action in started.past_actions] == ["command:cat 1.py", "command:make"]
    assert [action.result_hash for action in started.past_actions] == ["same", "same"]


def test_other_beads_are_not_read(scene: Any) -> None:
    trial = Trial(scene, limit=100)
    trial.run(new(1))
    first, trial.key = trial.key, scene.bead("shop-2")
    trial.run(new(2))
    assert [action.progress_key for action in trial.past().last_actions] == ["command:cat 2.py", "command:make"]
    assert trial.past().actions == []
    trial.key = first
    assert [action.progress_key for action in trial.past().last_actions] == ["command:cat 1.py", "command:make"]


def test_long_data_are_read_as_a_digest_that_tells_them_apart(scene: Any) -> None:
    trial = Trial(scene, limit=100)
    long = "x" * 50_000
    trial.run(
        [
            act("edit", "a.py", "", text=long),
            act("edit", "a.py", "", text=long + "y"),
            act("edit", "a.py", "", text=long),
            act("bash", f"cat {long}", "same"),
            act("bash", f"cat {long}y", "same"),
        ]
    )
    read = trial.past().last_actions
    assert [len(json.dumps(action.action_data)) < 5000 for action in read] == [True] * 5
    one, other, again = (action.result_hash for action in read[:3])
    assert one == again != other
    assert len({action.progress_key for action in read[3:]}) == 2
    assert str(read[3].action_data["command"]).startswith("cat xxx")


def test_of_very_many_actions_the_last_ones_are_read_through_indexes_and_no_others(scene: Any) -> None:
    trial = Trial(scene, limit=100)
    for number in range(3):
        trial.run(new(number))
    scene.bead("shop-2")
    with scene.store.units.begin() as tx:
        for statement in CROWD:
            tx.connection.execute(text(statement))
    with scene.store.units.read() as tx:
        read = progress.actions_before(tx, trial.key)
        parameters = {"project": "shop", "bead": "shop-1", "runs": 200, "actions": 500, "cut": 2000}
        ((plan,),) = tx.run(f"EXPLAIN (ANALYZE, FORMAT JSON) {progress._ACTIONS}", **parameters)
    assert [action.result_hash for action in read] == [str(number) for number in range(501, 1001)]
    nodes = list(_nodes((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]))
    assert {node["Index Name"] for node in nodes if "Index Name" in node} == {"runs_of_bead", "actions_of_run"}
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def test_roles_are_served_by_those_who_live(scene: Any) -> None:
    trial = Trial(scene)
    other = scene.worker("other@host", roles=("cto",))
    assert trial.past().served_roles == {"dev", "cto"}
    scene.store.swarm.leave(other)
    assert trial.past().served_roles == {"dev"}
    scene.clock.advance(timedelta(seconds=46))
    assert trial.past().served_roles == frozenset()


# Commits


def test_the_commits_of_the_last_run_that_left_any_are_kept_on_the_bead(scene: Any) -> None:
    trial = Trial(scene, limit=100)
    for commits in (CommitRange("a1", SHA, 1), CommitRange("a1", SHA, 3), NO_COMMITS):
        scene.clock.advance(timedelta(minutes=10))
        scene.store.swarm.heartbeat(trial.workers[0])
        started = scene.start(scene.claimed(trial.key), trial.workers[0])
        assert scene.report(started, FAILED, SHA, commits=commits)
        assert scene.run(started.run.id).commits == commits
        scene.settle(started.run.id)
    assert trial.bead.commits == CommitRange("a1", SHA, 3)
