"""A worker's place in the swarm: it registers, is registered anew when it was taken for gone, hands back and leaves."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dispatch.models.identity import IncarnationId
from dispatch.models.states import StopReason
from dispatch.store.swarm import Swarm
from workers.membership import Membership
from workers.process import Identity
from workers.signals import describe_worker

PATIENCE = 20.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
def membership(shop: Any, identity: Identity) -> Iterator[Membership]:
    def describe(incarnation_id: IncarnationId) -> Any:
        return describe_worker(incarnation_id, "two@here", ("role.dev", "role.qa"), 3, "prefork")

    membership = Membership(lambda: shop.system, identity, describe)
    yield membership
    membership.end()


def nodes(shop: Any) -> list[str]:
    return [worker.node for worker in shop.store.swarm.workers()]


def test_it_registers_with_its_agents_wishes_for_a_tick_and_leaves(
    shop: Any, identity: Identity, membership: Membership
) -> None:
    membership.begin()
    assert nodes(shop) == ["one@here", "two@here"]
    assert sum(agent.incarnation_id == identity.incarnation_id for agent in shop.store.swarm.agents()) == 3
    assert shop.bus.nudges == 1
    membership.end()
    assert nodes(shop) == ["one@here"]


def test_it_heartbeats(shop: Any, identity: Identity, membership: Membership) -> None:
    def seen() -> Any:
        return next(w.heartbeat_at for w in shop.store.swarm.workers() if w.id == identity.incarnation_id)

    membership.begin()
    first = seen()
    until(lambda: seen() > first)


def test_a_database_that_cannot_even_be_opened_is_tried_again(
    shop: Any, identity: Identity, away: Callable[[], Exception]
) -> None:
    """As while PostgreSQL recovers: the wired system of the process itself is not to be had yet."""
    asked = []

    def system() -> Any:
        asked.append(1)
        if len(asked) < 4:
            raise away()
        return shop.system

    membership = Membership(
        system, identity, lambda found: describe_worker(found, "two@here", ("role.dev",), 1, "prefork")
    )
    membership.begin()
    try:
        until(lambda: "two@here" in nodes(shop))
    finally:
        membership.end()


def test_a_database_that_is_away_at_the_start_is_tried_again(
    shop: Any, membership: Membership, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    register, calls = Swarm.register, []

    def fail_first(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise away()
        register(*arguments)

    monkeypatch.setattr(Swarm, "register", fail_first)
    membership.begin()
    until(lambda: "two@here" in nodes(shop))


def test_one_that_was_taken_for_gone_registers_as_another(
    shop: Any, identity: Identity, membership: Membership
) -> None:
    membership.begin()
    first = identity.incarnation_id
    shop.store.swarm.leave(first)
    until(lambda: "two@here" in nodes(shop))
    assert identity.incarnation_id != first


def test_one_that_hands_back_takes_nothing_new_asks_its_runs_to_stop_and_is_not_registered_again(
    shop: Any, identity: Identity, membership: Membership
) -> None:
    shop.store.swarm.leave(shop.worker)
    membership.begin()
    shop.worker = identity.incarnation_id
    started = shop.started(shop.add("a"))
    membership.hand_back()
    assert identity.stopping
    until(lambda: shop.run(started.run.id).stop_reason is StopReason.HANDBACK)
    with shop.store.dispatching.round() as round_:
        assert round_.supply().agents == ()
    shop.store.swarm.leave(identity.incarnation_id)
    membership._beat()
    assert nodes(shop) == []


def test_a_worker_with_agents_hears_what_is_asked_of_its_runs_and_one_without_listens_to_nothing(
    shop: Any, identity: Identity, membership: Membership
) -> None:
    shop.store.swarm.leave(shop.worker)
    membership.begin()
    until(lambda: identity.calls == 1)  # it listens, and looks at what was asked before
    shop.worker = identity.incarnation_id
    started = shop.started(shop.add("a"))
    shop.store.control.cancel(started.run.bead_key, by="ada")
    until(lambda: identity.calls == 2)
    membership.end()
    assert "dispatch-calls" not in {thread.name for thread in threading.enumerate()}

    idle = Identity()
    services = Membership(
        lambda: shop.system, idle, lambda of: describe_worker(of, "services@here", ("control",), 2, "prefork")
    )
    services.begin()
    assert "dispatch-calls" not in {thread.name for thread in threading.enumerate()}
    services.end()
    services.end()


def test_a_session_that_is_lost_is_opened_again(
    shop: Any, identity: Identity, membership: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.membership._LISTEN_AGAIN", 0.01)
    membership.begin()
    until(lambda: identity.calls == 1)
    with shop.store.engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
            " AND datname = current_database()"
        )
    until(lambda: identity.calls == 2)


def test_leaving_a_database_that_is_away_does_not_keep_the_worker_from_ending(
    membership: Membership, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    membership.begin()

    def fail(*_: Any) -> None:
        raise away()

    monkeypatch.setattr(Swarm, "leave", fail)
    monkeypatch.setattr(Swarm, "stop_taking", fail)
    membership.hand_back()
    membership.end()


def test_a_worker_without_roles_has_no_agents() -> None:
    worker = describe_worker(Identity().incarnation_id, "x@here", ("control", "results"), 2, "prefork")
    assert (worker.agents, worker.roles, worker.queues) == (0, (), ("control", "results"))
