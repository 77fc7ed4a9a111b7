"""Actions reach the database in batches, and no trouble with them costs the run."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from dispatch.models.messages import ActionEvent, ProgressEvent
from dispatch.models.run import ActionRecord
from tests.loops.actions import NOON
from workers.recording import ActionRecorder


def action(number: int = 0, /, **data: Any) -> ActionEvent:
    return ActionEvent(action_type="read", action_data=data or {"path": f"{number}"}, result_hash=f"{number}")


class Book:
    """Where actions are written, unless an error is set."""

    def __init__(self) -> None:
        self.written: list[list[str]] = []
        self.error: BaseException | None = None

    def write(self, actions: Sequence[ActionRecord]) -> None:
        if self.error is not None:
            raise self.error
        self.written.append([action.result_hash for action in actions])


def test_a_flush_is_due_at_the_twentieth_action_and_other_events_do_not_count() -> None:
    recorder = ActionRecorder(Book().write, None)
    due = [recorder.add(action(number)) is not None and recorder.is_due for number in range(19)]
    assert recorder.add(ProgressEvent(message="hm")) is None
    assert not recorder.is_due
    assert due == [False] * 19
    assert recorder.add(action(19)) is not None
    assert recorder.is_due


def test_an_action_has_the_moment_of_the_clock_that_is_given() -> None:
    recorder = ActionRecorder(Book().write, None, lambda: NOON)
    taken = recorder.add(action())
    assert taken is not None
    assert (taken.timestamp, taken.result_hash) == (NOON, "0")


def test_actions_are_written_once_and_in_order() -> None:
    book = Book()
    recorder = ActionRecorder(book.write, None)
    for number in range(3):
        recorder.add(action(number))
    recorder.flush()
    recorder.flush()
    assert book.written == [["0", "1", "2"]]


def test_while_the_database_is_away_the_newest_thousand_wait(away: Callable[[], Exception]) -> None:
    book = Book()
    recorder = ActionRecorder(book.write, None)
    book.error = away()
    for number in range(1005):
        recorder.add(action(number))
    recorder.flush()
    recorder.add(action(2000))
    book.error = None
    recorder.flush()
    (written,) = book.written
    assert written == [*map(str, range(5, 1005)), "2000"]


def test_an_action_that_the_database_cannot_hold_is_dropped_alone(shop: Any) -> None:
    run = shop.started(shop.add("a")).run
    recorder = ActionRecorder(lambda actions: shop.store.running.record_actions(run.id, actions), run.agent_id)
    for event in (action(1), action(2, path="lone \ud800 surrogate"), action(3, number=float("nan")), action(4)):
        recorder.add(event)
    recorder.flush()
    assert [kept.result_hash for kept in shop.store.reading.actions(run.id)] == ["1", "4"]


def test_a_time_limit_is_not_taken_for_trouble_with_the_database() -> None:
    book = Book()
    recorder = ActionRecorder(book.write, None)
    recorder.add(action())
    book.error = SoftTimeLimitExceeded()
    with pytest.raises(SoftTimeLimitExceeded):
        recorder.flush()
