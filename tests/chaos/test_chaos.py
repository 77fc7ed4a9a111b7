"""A short chaos run: everything is killed once while a hundred beads are done, and the history stays a good one.

`make chaos` is the long one; this one again: `python -m tests.chaos --seed 1 --beads 100 --kills 12 --nap 1 --gap 2.5`.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dispatch.models.event import Event
from dispatch.models.identity import BeadId, RunId
from tests.chaos.faults import Hit
from tests.chaos.plan import ROLES, Fault, Plan
from tests.chaos.recovery import percentile, times_to_run_again
from tests.chaos.run import run

SEED = 1
BEADS = 100
PATIENCE = 240.0
"""Seconds; on an idle machine it takes a sixth of that."""
NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)


@pytest.mark.timeout(420)
def test_a_hundred_beads_are_done_once_each_while_everything_is_killed(tmp_path: Path) -> None:
    plan = Plan.drawn(SEED, beads=BEADS, kills=len(Fault), longest_nap=1.0)
    result = run(plan, tmp_path, patience=PATIENCE, gap=2.5)
    assert not result.problems, result.story()
    assert Counter(hit.fault for hit in result.hits) == Counter(Fault), "each kind of fault was done once"
    assert {bead.role for bead in plan.work} == set(ROLES)


def test_a_seed_draws_the_same_plan_again_and_another_seed_another() -> None:
    first = Plan.drawn(7, beads=100, kills=30, longest_nap=1.0)
    assert Plan.drawn(7, beads=100, kills=30, longest_nap=1.0) == first
    assert Plan.drawn(8, beads=100, kills=30, longest_nap=1.0).work != first.work
    assert set(first.faults) == set(Fault)
    earlier: set[BeadId] = set()
    for bead in first.work:
        assert earlier.issuperset(bead.blockers), "no bead waits for a later one, so there is no cycle"
        earlier.add(bead.bead_id)


def test_the_time_to_run_again_is_from_the_kill_to_the_next_start_of_the_bead_that_lost_its_run() -> None:
    runs = [RunId(UUID(int=number)) for number in range(4)]

    def event(number: int, seconds: float, kind: str, bead: str, of: RunId) -> Event:
        at = NOON + timedelta(seconds=seconds)
        return Event(id=number, at=at, kind=f"run.{kind}", bead_id=BeadId(bead), run_id=of)

    events = [
        event(1, 0, "started", "a", runs[0]),
        event(2, 0, "started", "b", runs[1]),
        event(3, 1.5, "reported", "b", runs[1]),
        event(4, 4, "expired", "a", runs[0]),
        event(5, 5, "started", "c", runs[2]),
        event(6, 6, "started", "a", runs[3]),
    ]
    hit = Hit(NOON + timedelta(seconds=1), Fault.KILL_WORKER, "north", (1,), (runs[0], runs[1]))
    assert times_to_run_again(events, [hit]) == [5.0], "the other run had reported before the kill"
    frozen = Hit(NOON, Fault.FREEZE_WORKER, "north", (1,), (runs[0],))
    assert times_to_run_again(events, [frozen]) == []


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50.0, 99.0)
    assert (percentile([3.0], 0.99), percentile([], 0.5)) == (3.0, None)
