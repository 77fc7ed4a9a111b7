"""What beat fires: tasks that exist, on queues that are served, and that do not pile up."""

import pytest

from beat_schedule import HOUSEKEEPING_TASK, TICK_TASK, beat_schedule
from dispatch.bus import celery as bus
from dispatch.models.queues import CONTROL_QUEUE, RESULTS_QUEUE


def test_its_names_are_those_of_the_tasks() -> None:
    assert (TICK_TASK, HOUSEKEEPING_TASK) == (bus.TICK_TASK, bus.HOUSEKEEPING_TASK)


def test_the_tick_comes_as_often_as_configured_on_the_queue_that_no_agent_blocks() -> None:
    tick = beat_schedule(5.0)["tick"]
    assert (tick["task"], tick["schedule"]) == (TICK_TASK, 5.0)
    assert tick["options"]["queue"] == CONTROL_QUEUE
    assert beat_schedule(5.0)["housekeeping"]["options"]["queue"] == RESULTS_QUEUE


@pytest.mark.parametrize("interval", [0.5, 5.0, 60.0])
def test_what_was_not_taken_expires_around_the_time_of_the_next_one(interval: float) -> None:
    for entry in beat_schedule(interval).values():
        assert 1.0 <= entry["options"]["expires"] <= max(entry["schedule"], 1.0)
        assert entry["options"]["ignore_result"] is True
