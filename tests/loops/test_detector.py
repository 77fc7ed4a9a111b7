"""The loop detector alone, as in a notebook: beads, agents and actions are made in memory, and there is no database."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from dispatch import ActionRecord, Agent, Bead, LoopDetector, ProgressMetrics
from dispatch.errors import UsageError
from dispatch.models.identity import BeadKey
from tests.loops.actions import MINUTE, NOON, act, commands

BEAD = Bead(id="shop-1", title="Round the prices")
OTHER = Bead(id="shop-2", title="Sort the basket")

NOTEBOOK = """
import sys
from datetime import UTC, datetime, timedelta
from dispatch import ActionRecord, Agent, Bead, LoopDetector, result_fingerprint

bead = Bead(id="shop-1", title="Round the prices")
agent = Agent(id="me", name="me", roles=("dev",))
detector = LoopDetector(repeat_threshold=3, progress_window=timedelta(minutes=5))
for number in range(13):
    detector.record_action(bead, ActionRecord(
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        agent_id=agent.id,
        action_type="test",
        action_data={"command": "pytest -q"},
        result_hash=result_fingerprint(f"1 failed in 0.{number}s"),
    ))
print(detector.is_stuck_in_loop(bead)[0], sorted({"celery", "kombu", "sqlalchemy", "psycopg"} & set(sys.modules)))
"""


def test_it_works_in_a_notebook_without_any_server() -> None:
    said = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "True []"


def test_a_bead_that_goes_round_is_stuck_and_others_are_not() -> None:
    detector = LoopDetector()
    assert detector.is_stuck_in_loop(BEAD) == (False, "")
    told = [detector.record_action(BEAD, action) for action in commands(["make"] * 13)]
    detector.record_action(OTHER, act())
    assert told == [True] + [False] * 12
    stuck, reason = detector.is_stuck_in_loop(BEAD)
    assert stuck
    assert reason == "It did `command make` 13 times with the same result, without progress in the last 12 actions."
    assert detector.is_stuck_in_loop(OTHER) == (False, "")
    assert detector.is_stuck_in_loop(BeadKey.of("", "shop-1")).stuck, "a bead is known by its key"
    assert not detector.is_stuck_in_loop(Bead(id="shop-1", project_id="other", title="")).stuck


def test_its_rule_is_given_and_the_threshold_can_be_changed() -> None:
    detector = LoopDetector(repeat_threshold=4, progress_window=timedelta(minutes=2))
    for action in commands(["make"] * 3, step=MINUTE):
        detector.record_action(BEAD, action)
    assert not detector.is_stuck_in_loop(BEAD).stuck
    detector.set_repeat_threshold(1)
    assert detector.is_stuck_in_loop(BEAD).stuck
    detector.set_repeat_threshold(3)
    assert detector.is_stuck_in_loop(BEAD, NOON + 2 * MINUTE).stuck
    assert not detector.is_stuck_in_loop(BEAD, NOON + MINUTE).stuck
    with pytest.raises(UsageError, match="progress_window is negative"):
        LoopDetector(progress_window=-MINUTE)


def test_the_history_is_the_last_fifty_actions_as_json() -> None:
    detector = LoopDetector()
    assert detector.get_action_history_json(BEAD) == "[]"
    agent = Agent(id="agent-1", name="one", roles=("dev",))
    for number in range(60):
        action = ActionRecord(
            timestamp=NOON,
            agent_id=agent.id,
            action_type="read",
            action_data={"path": f"{number}.py", "at": NOON},
            result_hash="h",
        )
        detector.record_action(BEAD, action)
    history = json.loads(detector.get_action_history_json(BEAD))
    assert len(history) == 50
    assert history[0] == {
        "timestamp": "2026-09-25T12:00:00+00:00",
        "agent_id": "agent-1",
        "action_type": "read",
        "action_data": {"path": "10.py", "at": "2026-09-25 12:00:00+00:00"},
        "result_hash": "h",
        "progress_key": "read:10.py",
    }


def test_progress_commits_and_suggestions_are_told() -> None:
    detector = LoopDetector()
    for action in (act("read", "a.py"), act("commit", "", sha="a1"), act("commit", "", sha="b2")):
        detector.record_action(BEAD, action)
    assert detector.get_progress_metrics(BEAD) == ProgressMetrics(files_read=1, last_progress=NOON)
    assert detector.get_progress_summary(BEAD).startswith("Files read: 1, files modified: 0, ")
    assert detector.get_agent_commit_range(BEAD) == ("a1", "b2", 2)
    assert [sentence.split(":")[0] for sentence in detector.suggest_next_steps(BEAD)] == [
        "It only ever looked at a.py",
        "It read but changed nothing",
        "It never ran a command",
    ]


def test_a_reset_forgets_one_bead() -> None:
    detector = LoopDetector()
    for bead in (BEAD, OTHER):
        for action in commands(["make"] * 13):
            detector.record_action(bead, action)
    detector.reset_progress(BEAD)
    detector.reset_progress(BEAD)
    assert detector.is_stuck_in_loop(BEAD) == (False, "")
    assert detector.get_action_history_json(BEAD) == "[]"
    assert detector.get_agent_commit_range(BEAD) == ("", "", 0)
    assert detector.suggest_next_steps(BEAD)[0].startswith("It did nothing that was recorded")
    assert detector.record_action(BEAD, act("command", "make")) is True
    assert detector.is_stuck_in_loop(OTHER).stuck
