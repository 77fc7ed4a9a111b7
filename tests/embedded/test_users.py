"""The users lock and the idle time; the time is given."""

import os
from pathlib import Path

import pytest

from dispatch.embedded import users
from dispatch.embedded.file_lock import FileLock
from dispatch.embedded.home import EmbeddedHome
from dispatch.embedded.users import IdleWatch


@pytest.fixture
def place(tmp_path: Path) -> EmbeddedHome:
    place = EmbeddedHome.at(tmp_path / "home")
    place.create()
    return place


def test_idle_time_begins_when_the_last_user_has_gone(place: EmbeddedHome) -> None:
    assert users.register(place, 1)
    watch = IdleWatch(place, 0.0)
    assert not watch.is_over(100.0, 60.0)
    users.release(place)
    assert not watch.is_over(159.0, 60.0)
    assert watch.is_over(160.0, 60.0)


def test_a_user_that_came_and_went_between_two_looks_counts(place: EmbeddedHome) -> None:
    watch = IdleWatch(place, 0.0)
    assert users.register(place, 1)
    users.release(place)
    assert not watch.is_over(60.0, 60.0)
    assert watch.is_over(120.0, 60.0)


def test_idle_time_does_not_begin_while_one_of_two_users_is_there(place: EmbeddedHome) -> None:
    other = FileLock(place.users_lock, shared=True)
    assert other.acquire_now()
    assert users.register(place, 1)
    watch = IdleWatch(place, 0.0)
    users.release(place)
    assert not watch.is_over(1000.0, 60.0)
    other.release()
    assert not watch.is_over(1059.0, 60.0)
    assert watch.is_over(1060.0, 60.0)


def test_nobody_becomes_a_user_once_the_idle_time_is_over(place: EmbeddedHome) -> None:
    watch = IdleWatch(place, 0.0)
    assert watch.is_over(60.0, 60.0)
    assert not users.register(place, 0.05)


def test_a_forked_child_goes_on_using_the_home(place: EmbeddedHome) -> None:
    assert users.register(place, 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    users.release(place)
    assert not FileLock(place.users_lock).acquire_now()
    os.close(writer)
    os.waitpid(child, 0)
    alone = FileLock(place.users_lock)
    assert alone.acquire_now()
    alone.release()


def test_a_user_of_a_home_that_was_removed_registers_with_the_new_one(place: EmbeddedHome) -> None:
    assert users.register(place, 1)
    place.users_lock.unlink()
    assert users.register(place, 1)
    assert not FileLock(place.users_lock).acquire_now()
    users.release(place)
