"""Celery's soft limit is kept to the agent's part of a run."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from billiard.pool import soft_timeout_sighandler
from celery.exceptions import SoftTimeLimitExceeded

from workers.soft_limit import SoftLimit, soft_limit


@pytest.fixture
def prefork() -> Iterator[None]:
    """Given the signal handler of a prefork process."""
    before = signal.signal(signal.SIGUSR1, soft_timeout_sighandler)
    yield
    signal.signal(signal.SIGUSR1, before)


def reach() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


@pytest.mark.usefixtures("prefork")
def test_it_comes_as_an_exception_and_is_remembered() -> None:
    with soft_limit() as limit:
        with pytest.raises(SoftTimeLimitExceeded):
            reach()
        with pytest.raises(SoftTimeLimitExceeded):
            limit.check()
        limit.lift()
        limit.check()
    assert limit.reached


@pytest.mark.usefixtures("prefork")
def test_once_lifted_it_comes_to_nothing_until_the_next_task() -> None:
    with soft_limit() as limit:
        limit.lift()
        reach()
    assert not limit.reached
    with pytest.raises(SoftTimeLimitExceeded):
        reach()


def test_other_handlers_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with soft_limit() as limit:
        assert signal.getsignal(signal.SIGUSR1) is before
        limit.check()


@pytest.mark.usefixtures("prefork")
def test_a_thread_that_cannot_get_it_is_not_disturbed() -> None:
    found: list[SoftLimit] = []

    def work() -> None:
        with soft_limit() as limit:
            found.append(limit)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGUSR1) is soft_timeout_sighandler
    assert not found[0].reached
