"""Broker and database are emptied, stopped and restarted in the middle of things, and nothing is lost by it.

The servers are this module's own. Heartbeats are rare and leases long, so that it is not the lease that mends it.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from dispatch import embedded
from dispatch.bus.celery import ERRBACK_TASK, SETTLE_TASK
from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Completed
from dispatch.models.queues import RESULTS_QUEUE, role_queue
from dispatch.models.run import Run
from dispatch.models.states import RunState
from dispatch.store import DatabaseClock, make_engine, upgrade
from dispatch.store.transaction import Transaction
from tests.walk.observing import ROLE, STORY, gated_work, handled, message_of

TEMPLATE = "dispatch_template"
TIMES = 'tick_interval = "1s"\nheartbeat = "10s"\nlease = "30s"'
PATIENCE = 30.0
WAITS_FOR_A_PROJECT = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND classid = {0x64697370}"
pytestmark = pytest.mark.xdist_group("walk-servers")


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class OwnServers:
    """A PostgreSQL and a Valkey that a test may stop, and that their keeper starts again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.addresses = embedded.ensure(home)

    def client(self) -> redis.Redis:
        socket = self.addresses.broker_url.removeprefix("redis+socket://").partition("?")[0]
        return redis.Redis(unix_socket_path=socket)

    @contextmanager
    def broker_stopped(self) -> Iterator[None]:
        """Have the broker answer nobody: connections stay, and what is sent waits."""
        with self._stopped(embedded.inspect(self.home).valkey.pid):
            yield

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """End PostgreSQL, and keep its keeper from starting it again while the block lasts."""
        found = embedded.inspect(self.home)
        with self._stopped(found.keeper_pid):
            database = psutil.Process(found.postgres.pid)
            database.send_signal(signal.SIGINT)  # its fast shutdown: transactions are rolled back
            until(lambda: not _runs(database), "PostgreSQL to end")
            yield
        embedded.ensure(self.home)

    def restart_database(self) -> None:
        with self.database_away():
            """It is away for a moment."""

    @contextmanager
    def _stopped(self, pid: int | None) -> Iterator[None]:
        process = psutil.Process(pid)
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)


def _runs(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that nobody has collected yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServers]:
    """Given servers of this module alone."""
    home = Path(tempfile.mkdtemp(prefix="dispatch-tests-"))
    try:
        yield OwnServers(home)
    finally:
        embedded.down(home)
        embedded.purge(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def servers(own: OwnServers) -> embedded.Servers:
    return own.addresses


@pytest.fixture(scope="module")
def maintenance(servers: embedded.Servers) -> Iterator[Engine]:
    """Given a connection that can create databases and outlives restarts, and a migrated template to copy."""
    engine = create_engine(servers.database_url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {TEMPLATE}"))
    migrated = make_engine(servers.database_url.replace("/dispatch?", f"/{TEMPLATE}?"))
    upgrade(migrated)
    migrated.dispose()
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any]) -> Any:
    """Given an agent worker of one agent, and the services."""
    deployment = deploy(times=TIMES)
    deployment.start_worker("one", role_queue(ROLE), concurrency=1)
    deployment.start_services()
    deployment.await_workers("one", "services")
    return deployment


class Work:
    """A bead whose agent wrote a file and then waits until it is let go."""

    def __init__(self, deployment: Any, bead_id: str) -> None:
        description, self._gate = gated_work(deployment, bead_id)
        (self.key,) = deployment.import_beads({"id": bead_id, "title": bead_id, "description": description})
        self.run: Run = deployment.await_running(self.key)
        deployment.await_file(self.run, f"{bead_id}.txt")

    def let_go(self) -> None:
        self._gate.touch()


def change(deployment: Any, statement: str) -> None:
    with deployment.store.engine.begin() as connection:
        connection.execute(text(statement))


def await_end(deployment: Any, key: BeadKey) -> None:
    """Wait until a bead is closed; it took one run, settled once, and its work landed once."""
    deployment.await_status(key, "closed")
    (run,) = deployment.runs(key)
    assert (run.state, type(run.outcome)) == (RunState.SETTLED, Completed)
    assert deployment.story(key) == STORY
    assert (deployment.repository / f"{key.bead_id}.txt").read_text() == f"{key.bead_id}\n"


def test_a_broker_that_is_emptied_in_mid_run_loses_nothing(deployment: Any, own: OwnServers) -> None:
    work = Work(deployment, "emptied-1")
    with own.client() as client:
        client.flushall()
    work.let_go()
    await_end(deployment, work.key)

    # Nor does anything that comes later.
    later = Work(deployment, "emptied-2")
    later.let_go()
    await_end(deployment, later.key)


def test_a_broker_that_is_stopped_keeps_no_outcome_from_being_written(deployment: Any, own: OwnServers) -> None:
    work = Work(deployment, "stopped-1")
    with own.broker_stopped():
        work.let_go()
        deployment.until(lambda: deployment.runs(work.key)[0].state is RunState.REPORTED, what="the report")
    await_end(deployment, work.key)


def test_an_outcome_outlasts_a_database_that_is_away(deployment: Any, own: OwnServers) -> None:
    work = Work(deployment, "away-1")
    with own.database_away():
        work.let_go()
        until(lambda: "it is tried again" in deployment.log("one").read_text(), "the worker to try in vain")
    await_end(deployment, work.key)


def test_a_settle_in_the_middle_of_which_the_database_restarts_is_done_once(deployment: Any, own: OwnServers) -> None:
    work = Work(deployment, "restart-1")
    holder = deployment.store.engine.connect()
    Transaction(holder, DatabaseClock()).lock_project(work.key.project_id)
    work.let_go()
    deployment.until(lambda: deployment.ask(WAITS_FOR_A_PROJECT), what="the settle to be half-way")
    own.restart_database()
    with pytest.raises(DBAPIError):
        holder.execute(text("SELECT 1"))
    holder.invalidate()
    holder.close()
    await_end(deployment, work.key)


def test_a_body_that_raises_is_made_up_for_and_its_errback_changes_nothing(deployment: Any) -> None:
    errbacks, raised = handled(deployment, ERRBACK_TASK), handled(deployment, SETTLE_TASK, "raised")
    change(deployment, "ALTER TABLE steps ADD CONSTRAINT broken CHECK (state = 'open') NOT VALID")
    work = Work(deployment, "raises-1")
    work.let_go()
    deployment.until(lambda: handled(deployment, SETTLE_TASK, "raised") > raised, what="the body to raise")
    deployment.until(lambda: handled(deployment, ERRBACK_TASK) > errbacks, what="the errback of the body")
    (run,) = deployment.runs(work.key)
    assert (run.state, run.settle_failures > 0) == (RunState.REPORTED, True)
    change(deployment, "ALTER TABLE steps DROP CONSTRAINT broken")
    await_end(deployment, work.key)


def test_an_errback_shortens_the_lease_and_settles_nothing(deployment: Any) -> None:
    """As when only the result backend blinked: the agent works, and nothing is wrong with its run."""
    errbacks = handled(deployment, ERRBACK_TASK)
    work = Work(deployment, "blinked-1")
    (child,) = deployment.agent_processes("one")
    child.suspend()  # it would make the lease longer again
    try:
        before = deployment.runs(work.key)[0].lease_until
        deployment.app.send_task(ERRBACK_TASK, args=[[str(work.run.id)]], queue=RESULTS_QUEUE, ignore_result=True)
        deployment.until(lambda: handled(deployment, ERRBACK_TASK) > errbacks, what="the errback")
        (run,) = deployment.runs(work.key)
        left = run.lease_until - deployment.ask("SELECT clock_timestamp()")
        assert run.state is RunState.RUNNING
        assert run.lease_until < before, "it was to be shorter"
        assert timedelta() < left <= timedelta(seconds=15)
    finally:
        child.resume()
    work.let_go()
    await_end(deployment, work.key)


def test_no_message_is_taken_while_every_agent_works(deployment: Any, own: OwnServers) -> None:
    work = Work(deployment, "waits-1")
    queue = f"{deployment.settings.key_prefix}:{role_queue(ROLE)}"
    with own.client() as client:
        deployment.system.bus.publish_task(work.run.project_id, message_of(work.run))
        assert deployment.app.control.inspect(["one@here"], timeout=10).reserved() == {"one@here": []}
        assert client.llen(queue) == 1, "it sits behind a run that may take half an hour"
        work.let_go()
        await_end(deployment, work.key)
        deployment.until(lambda: client.llen(queue) == 0, what="the doubled order to be taken")
