"""What a process of a worker has once, and what it shares with those that it forks."""

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.bus.celery import make_app
from dispatch.settings import Settings
from dispatch.wiring import find_servers
from workers.process import Identity, ProcessState

# Python 3.12 and later warn of it; that it is safe here is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked process; return its exit code, 0 if it returned something true."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_forked_processes_know_who_the_worker_is_also_after_it_changed() -> None:
    identity = Identity()
    first = identity.incarnation_id
    reader, writer = os.pipe()

    def child() -> bool:
        os.close(writer)
        os.read(reader, 1)
        return identity.incarnation_id not in (first,) and identity.stopping

    pid = os.fork()
    if pid == 0:
        os._exit(0 if child() else 1)
    os.close(reader)
    identity.renew()
    identity.stop()
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert identity.incarnation_id != first


def test_each_worker_is_another_and_does_not_end_at_once() -> None:
    one, two = Identity(), Identity()
    assert one.incarnation_id != two.incarnation_id
    assert not one.stopping


@pytest.fixture
def state(settings: Settings) -> Any:
    addresses = find_servers(settings)
    state = ProcessState()
    state.use(settings, addresses, make_app(settings, addresses.broker_url, addresses.result_backend_url))
    yield state
    state.system().close()


def ask(state: ProcessState) -> int:
    """Return the number of the server process that serves this process's connection."""
    with state.system().store.engine.connect() as connection:
        return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()


def test_a_process_wires_its_system_once_whichever_thread_asks_first(state: ProcessState) -> None:
    systems: list[Any] = []
    threads = [threading.Thread(target=lambda: systems.append(state.system())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(system) for system in systems}) == 1
    assert state.registry() is state.registry()


def test_a_forked_process_opens_connections_of_its_own_and_leaves_those_of_its_parent_alone(
    state: ProcessState,
) -> None:
    mine, system, registry = ask(state), state.system(), state.registry()

    def child() -> bool:
        own = ask(state) != mine and state.system() is not system and state.registry() is not registry
        state.system().close()
        return own

    assert in_child(child) == 0
    assert in_child(lambda: ask(state) != mine) == 0
    assert ask(state) == mine, "the connection is alive, and the same"


def test_a_child_that_is_forked_while_another_thread_is_wiring_does_not_wait_for_it(state: ProcessState) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with state._lock:
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    assert in_child(lambda: ask(state) > 0) == 0
    release.set()
    holder.join()


def test_without_a_deployment_it_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match=r"workers\.app"):
        ProcessState().system()
