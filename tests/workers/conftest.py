"""A system in this process on a real database and a real repository; what it would publish is kept."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.agent import Incarnation
from dispatch.models.bead import Bead
from dispatch.models.dispatching import Placement
from dispatch.models.identity import BeadId, BeadKey, IncarnationId, ProjectId, RunId, uuid7
from dispatch.models.importing import BeadRecord
from dispatch.models.messages import TaskMessage
from dispatch.models.run import Run
from dispatch.settings import Settings
from dispatch.store import StartedRun, Store, make_engine
from dispatch.wiring import System, wire

AGENT = """
import json, os, pathlib, sys, time
assignment = json.loads(pathlib.Path(os.environ["DISPATCH_ASSIGNMENT"]).read_text())
def say(**event):
    print(json.dumps(event), flush=True)
exec(assignment["bead"]["description"])
"""
"""An agent that does what the bead says, in Python."""
ROLE = "dev"


class KeptBus:
    """A bus of which a test reads what it was given."""

    def __init__(self) -> None:
        self.tasks: list[TaskMessage] = []
        self.settles: list[RunId] = []
        self.landings: list[ProjectId] = []
        self.nudges = 0

    def publish_task(self, project_id: ProjectId, task: TaskMessage) -> None:
        self.tasks.append(task)

    def publish_task_for_role(self, project_id: ProjectId, role: str, task: TaskMessage) -> None:
        self.tasks.append(task)

    def publish_step(self, project_id: ProjectId, tasks: Sequence[TaskMessage]) -> None:
        self.tasks.extend(tasks)

    def publish_settle(self, run_id: RunId) -> None:
        self.settles.append(run_id)

    def publish_landing(self, project_id: ProjectId) -> None:
        self.landings.append(project_id)

    def publish_nudge(self) -> None:
        self.nudges += 1

    def close(self) -> None:
        """Nothing is held."""


class Shop:
    """The project `shop`, one worker with agents, and beads of which each says in Python what its agent does."""

    def __init__(self, system: System, bus: KeptBus, repository: Path) -> None:
        self.system = system
        self.store = system.store
        self.bus = bus
        self.repository = repository
        self.project = system.store.projects.add(ProjectId("shop"), repository, "shop")
        self.worker = self.register()

    def register(self, *, agents: int = 2) -> IncarnationId:
        worker = Incarnation(
            id=IncarnationId(uuid7()),
            node="one@here",
            host="here",
            pid=1,
            version="1",
            queues=(f"role.{ROLE}",),
            roles=(ROLE,),
            agents=agents,
        )
        self.store.swarm.register(worker)
        return worker.id

    def add(self, bead_id: str, does: str = "") -> BeadKey:
        bead = Bead(id=BeadId(bead_id), title=f"Do {bead_id}", description=does)
        document = {"id": bead_id, "title": bead.title, "description": does}
        record = BeadRecord(bead=bead, text=json.dumps(document), document=document)
        self.store.imports.import_records(self.project.id, [record])
        return BeadKey(self.project.id, bead.id)

    def order(self, key: BeadKey, *, timeout: timedelta = timedelta(minutes=1)) -> TaskMessage:
        """Claim a bead and return the message of its run."""
        with self.store.dispatching.round() as round_:
            agent = round_.supply().agents[0]
            (handover,) = round_.claim(
                [Placement(bead=key, agents=(agent,), role=ROLE, timeout=timeout, reason="A test.")]
            )
        return handover.tasks[0]

    def started(self, key: BeadKey) -> StartedRun:
        started = self.store.running.start(RunId(self.order(key).run_id), self.worker)
        assert isinstance(started, StartedRun), started
        return started

    def run(self, run_id: Any) -> Run:
        run = self.store.settling.find_run(run_id)
        assert run is not None
        return run


@pytest.fixture
def shop(tmp_path: Path, settings: Settings, repository: Path, database_url: str) -> Iterator[Shop]:
    """Given the project `shop`, a worker of two agents in the database, and a runner."""
    agent = tmp_path / "agent.py"
    agent.write_text(AGENT)
    values = settings.model_dump(exclude={"dispatch", "guards"})
    values |= {
        "dispatch": {"heartbeat": "200ms", "lease": "30s"},
        "runners": {"mine": {"kind": "command", "argv": (sys.executable, "-I", "-S", str(agent))}},
        "roles": {ROLE: {"runners": ("mine",)}},
        "projects": {"shop": {"default_role": ROLE}},
    }
    chosen = Settings.model_validate(values)
    bus = KeptBus()
    store = Store(make_engine(database_url), lease=chosen.dispatch.lease)
    yield Shop(wire(chosen, store, bus), bus, repository)
    store.close()


@pytest.fixture
def away() -> Callable[[], Exception]:
    """Given the error that SQLAlchemy raises when PostgreSQL is away."""
    import psycopg
    from sqlalchemy.exc import OperationalError

    def make() -> Exception:
        return OperationalError(
            "SELECT 1", {}, psycopg.OperationalError("the server is gone"), connection_invalidated=True
        )

    return make
