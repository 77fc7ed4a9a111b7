"""Real servers for every test that needs them: one embedded pair a test process, a fresh database a test."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select, text

from dispatch import embedded
from dispatch.models.agent import Agent, Incarnation
from dispatch.models.bead import Bead, Dependency
from dispatch.models.dispatching import Handover, Placement
from dispatch.models.event import Event
from dispatch.models.identity import BeadId, BeadKey, IncarnationId, ProjectId, RunId, uuid7
from dispatch.models.importing import BeadRecord
from dispatch.models.messages import ResultMessage, TaskMessage
from dispatch.models.outcome import Outcome
from dispatch.models.project import Project
from dispatch.models.run import Run
from dispatch.models.settling import Settled
from dispatch.results import judge
from dispatch.settings import Settings
from dispatch.store import FixedClock, StartedRun, Store, make_engine, records, schema
from tests.databases import Databases, make_template
from tests.podman import Podman, what_is_missing

SAMPLES = Path(__file__).resolve().parents[1].parent / "shared" / "data"
LONG = ("walk/", "chaos/", "cli/test_up.py", "benchmarks/", "cli/test_demo.py", "brokers/", "cluster/", "stateful/")
"""Where tests wait for processes and leases. They begin first: at the end they would have the machine to themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long files come first, each of them whole, so that several processes end at about the same time."""
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(here).as_posix()
        return next((number for number, start in enumerate(LONG) if name.startswith(start)), len(LONG))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Refuse tests that import the Celery application: that opens the deployment of the working directory."""
    if "workers.app" in sys.modules:
        raise pytest.UsageError("A test module imports workers.app, which starts the servers of this checkout.")


@pytest.fixture(scope="session")
def servers() -> Iterator[embedded.Servers]:
    """Given an embedded PostgreSQL and Valkey of this test process alone."""
    home = Path(tempfile.mkdtemp(prefix="dispatch-tests-"))
    try:
        yield embedded.ensure(home)
    finally:
        embedded.down(home)
        embedded.purge(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def maintenance(servers: embedded.Servers) -> Iterator[Engine]:
    """Given a connection that can create databases, and a migrated template to copy."""
    engine = create_engine(servers.database_url, isolation_level="AUTOCOMMIT")
    make_template(engine, lambda name: _at(servers.database_url, name))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def databases(servers: embedded.Servers, maintenance: Engine) -> Databases:
    """Given as many fresh databases as the tests ask for."""
    return Databases(maintenance, lambda name: _at(servers.database_url, name))


@pytest.fixture
def database_url(servers: embedded.Servers, databases: Databases) -> Iterator[str]:
    """Given a fresh, migrated database."""
    name, uses = databases.take()
    yield _at(servers.database_url, name)
    databases.give_back(name, uses)


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Given a container engine of this test process alone, with one small image."""
    missing = what_is_missing()
    if missing:
        pytest.skip(f"no container engine: {missing}")
    engine = Podman()
    try:
        trouble = engine.start()
        if trouble:
            pytest.skip(f"no container engine: {trouble}")
        yield engine
    finally:
        engine.end()


@pytest.fixture
def key_prefix() -> str:
    """Given a corner of the broker that no other test uses."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, servers: embedded.Servers, key_prefix: str) -> Settings:
    """Given a configuration of a deployment of its own on the test servers."""
    return Settings.model_validate(
        {
            "home": tmp_path / "home",
            "database_url": database_url,
            "broker_url": servers.broker_url,
            "key_prefix": key_prefix,
        }
    )


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Given a store on a fresh database, on the database's own clock."""
    opened = Store(make_engine(database_url), lease=timedelta(seconds=45))
    yield opened
    opened.close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Given a git repository with one commit on main."""
    path = tmp_path / "repository"
    path.mkdir()
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["config", "user.name", "Somebody"],
        ["config", "user.email", "somebody@localhost"],
    ):
        subprocess.run(["git", *arguments], cwd=path, check=True)
    (path / "README.md").write_text("A project.\n")
    subprocess.run(["git", "add", "."], cwd=path, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "Begin"], cwd=path, check=True)
    return path


@pytest.fixture
def project(store: Store, repository: Path) -> Project:
    """Given the project `shop` in the store, at the repository."""
    return store.projects.add(ProjectId("shop"), repository, "shop")


NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
SHOP = ProjectId("shop")


@pytest.fixture
def clock() -> FixedClock:
    """Given a clock that stands at noon until a test moves it."""
    return FixedClock(NOON)


class Scene:
    """A project with beads and workers in a store whose time only a test moves. Its steps are those of one bead."""

    def __init__(self, store: Store, clock: FixedClock, settings: Settings) -> None:
        self.store = store
        self.clock = clock
        self.settings = settings
        self.project = store.projects.add(SHOP, Path("/srv/shop"), "shop")

    def record(
        self,
        bead_id: str,
        *,
        waits_for: Sequence[str] = (),
        edges: Sequence[Dependency] = (),
        role: str = "",
        workflow: str = "",
        timeout: timedelta | None = None,
        text: str | None = None,
        **fields: Any,
    ) -> BeadRecord:
        """Make the record of a bead as an import hands it over."""
        fields = {"title": f"Do {bead_id}", "created_at": self.clock.at, **fields}
        bead = Bead(id=BeadId(bead_id), **fields)
        document = {"id": bead_id, "title": bead.title, "status": bead.status, "assignee": bead.assignee}
        document |= {"description": bead.description, "labels": list(bead.labels), "metadata": dict(bead.metadata)}
        own = [Dependency(issue_id=bead.id, depends_on_id=BeadId(target)) for target in waits_for]
        return BeadRecord(
            bead=bead,
            text=text or json.dumps(document),
            document=document,
            dependencies=(*own, *edges),
            role_hint=role,
            workflow=workflow,
            timeout=timeout,
        )

    def bead(self, bead_id: str = "shop-1", *, project: ProjectId = SHOP, **fields: Any) -> BeadKey:
        """Import a bead; importing it once more with other words and a later `updated_at` changes it."""
        self.store.imports.import_records(project, [self.record(bead_id, **fields)])
        return BeadKey(project, BeadId(bead_id))

    def worker(
        self, node: str = "one@host", *, roles: Sequence[str] = ("dev",), agents: int = 1, pool: str = "prefork"
    ) -> IncarnationId:
        """Register a worker of that many agents."""
        worker = Incarnation(
            id=IncarnationId(uuid7()),
            node=node,
            host="host",
            pid=1,
            version="1",
            queues=tuple(f"role.{role}" for role in roles),
            roles=tuple(roles),
            agents=agents,
            pool=pool,
        )
        self.store.swarm.register(worker)
        return worker.id

    def agents_of(self, worker: IncarnationId) -> list[Agent]:
        """The agents of a worker, whatever has become of them and it, by their name."""
        agents = schema.agents
        with self.store.units.read() as tx:
            statement = select(agents, text("NULL AS run_id")).where(agents.c.incarnation_id == worker)
            return [records.agent_of(row, ()) for row in tx.connection.execute(statement.order_by(agents.c.name))]

    def placement(self, key: BeadKey, agents: Sequence[Agent], timeout: timedelta = timedelta(minutes=30)) -> Placement:
        return Placement(bead=key, agents=tuple(agents), role="dev", timeout=timeout, reason="It is its turn.")

    def claim(
        self, key: BeadKey, agents: Sequence[Agent] | None = None, *, timeout: timedelta = timedelta(minutes=30)
    ) -> Handover | None:
        """Claim a bead for agents, the one that rested longest unless given; None when it could not be had."""
        with self.store.dispatching.round() as round_:
            chosen = round_.supply().agents[:1] if agents is None else agents
            handovers = round_.claim([self.placement(key, chosen, timeout)])
        return handovers[0] if handovers else None

    def claimed(self, key: BeadKey, agents: Sequence[Agent] | None = None) -> RunId:
        """Claim a bead with one agent and publish its run."""
        handover = self.claim(key, agents)
        assert handover is not None, "the bead was to be had"
        self.store.dispatching.mark_published(handover.run_ids)
        return handover.run_ids[0]

    def start(self, run_id: RunId, worker: IncarnationId) -> StartedRun:
        started = self.store.running.start(run_id, worker)
        assert isinstance(started, StartedRun), started
        return started

    def report(self, started: StartedRun, outcome: Outcome, commit: str | None = None, **fields: Any) -> bool:
        named = {"run_id": started.run.id, "token": started.token, "outcome": outcome, "commit_sha": commit}
        message = ResultMessage(**named, **fields)
        return self.store.running.report(message)

    def settle(self, run_id: RunId) -> Settled | None:
        return self.store.settling.settle(run_id, lambda joined: judge(joined, self.settings))

    def work(self, key: BeadKey, worker: IncarnationId, outcome: Outcome, commit: str | None = None) -> Settled:
        """Take a bead through claim, start, report and settle with the only idle agent."""
        started = self.start(self.claimed(key), worker)
        assert self.report(started, outcome, commit)
        settled = self.settle(started.run.id)
        assert settled is not None
        return settled

    def read(self, key: BeadKey) -> Bead:
        return self.store.reading.bead(key)

    def run(self, run_id: RunId) -> Run:
        run = self.store.settling.find_run(run_id)
        assert run is not None
        return run

    def events(self, *kinds: str) -> list[Event]:
        """All events so far, or those of the kinds."""
        return [event for event in self.store.reading.events_after(0) if not kinds or event.kind in kinds]

    def kinds(self, key: BeadKey) -> list[str]:
        """What happened to a bead, in order."""
        return [event.kind for event in self.store.reading.events(key)]

    def value(self, statement: str, **parameters: Any) -> Any:
        """The first value of a statement."""
        with self.store.units.begin() as tx:
            return tx.connection.execute(text(statement), parameters).scalar()


@pytest.fixture
def scene(database_url: str, clock: FixedClock, settings: Settings) -> Iterator[Scene]:
    """Given the project `shop` in a store whose time stands still, and room for many connections."""
    store = Store(make_engine(database_url, pool_size=64), lease=timedelta(seconds=45), clock=clock)
    yield Scene(store, clock, settings)
    store.close()


@pytest.fixture
def at_once() -> Callable[[Sequence[Callable[[], Any]]], list[Any]]:
    """Given a way to call functions at the same moment in threads; it returns what each returned or raised."""

    def call_all(calls: Sequence[Callable[[], Any]]) -> list[Any]:
        barrier = threading.Barrier(len(calls))

        def call(function: Callable[[], Any]) -> Any:
            barrier.wait(30)
            try:
                return function()
            except Exception as error:  # noqa: BLE001 - what a call raises is its answer
                return error

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(call, calls))

    return call_all


def _at(url: str, database: str) -> str:
    """Return the address of another database on the same server."""
    return url.replace("/dispatch?", f"/{database}?")


class RecordingBus:
    """Keeps what it was given; while `away`, takes nothing."""

    def __init__(self) -> None:
        self.away = False
        self.steps: list[tuple[TaskMessage, ...]] = []
        self.settles: list[RunId] = []
        self.landings: list[ProjectId] = []
        self.nudges = 0

    @property
    def tasks(self) -> list[TaskMessage]:
        return [task for step in self.steps for task in step]

    def publish_task(self, project_id: ProjectId, task: TaskMessage) -> None:
        self.publish_step(project_id, [task])

    def publish_task_for_role(self, project_id: ProjectId, role: str, task: TaskMessage) -> None:
        self.publish_step(project_id, [task])

    def publish_step(self, project_id: ProjectId, tasks: Sequence[TaskMessage]) -> None:
        self._answer()
        self.steps.append(tuple(tasks))

    def publish_settle(self, run_id: RunId) -> None:
        self._answer()
        self.settles.append(run_id)

    def publish_landing(self, project_id: ProjectId) -> None:
        self._answer()
        self.landings.append(project_id)

    def publish_nudge(self) -> None:
        self._answer()
        self.nudges += 1

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self) -> None:
        if self.away:
            raise ConnectionRefusedError("the broker is away")


@pytest.fixture
def bus() -> RecordingBus:
    """Given a bus that remembers, and can be away."""
    return RecordingBus()


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """Return the path of a sample file, or skip the test where the samples are not beside the checkout."""

    def find(name: str) -> Path:
        path = SAMPLES / name
        if not path.exists():
            pytest.skip(f"the sample file {name} is not in ../shared/data beside the checkout")
        return path

    return find
