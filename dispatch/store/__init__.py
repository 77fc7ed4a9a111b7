"""All SQL. `Store` is the door: each of its parts is what one room needs of the database."""

from datetime import timedelta

from sqlalchemy import Engine

from dispatch.models.identity import IncarnationId
from dispatch.ports import Clock
from dispatch.store.clock import DatabaseClock, FixedClock
from dispatch.store.controlling import ControlRecords
from dispatch.store.decisions import DecisionRecords
from dispatch.store.dispatching import DispatchRecords
from dispatch.store.edits import EditRecords
from dispatch.store.engine import is_unavailable, make_engine
from dispatch.store.guarding import GuardRecords
from dispatch.store.imports import ImportRecords, StoredDocument
from dispatch.store.landings import LandingRecords
from dispatch.store.lessons import LessonRecords
from dispatch.store.memories import ProjectMemory, StoredMemory
from dispatch.store.migrate import require_current, upgrade
from dispatch.store.projects import ProjectRecords
from dispatch.store.providers import ProviderRecords
from dispatch.store.pull_requests import PullRequestRecords
from dispatch.store.reading import ReadingRecords
from dispatch.store.rescue import RescueRecords
from dispatch.store.routing import RoutingRecords
from dispatch.store.running import RunningRecords, StartedRun
from dispatch.store.sessions import SessionRecords
from dispatch.store.settling import SettlingRecords
from dispatch.store.swarm import Swarm
from dispatch.store.tending import WorkflowRecords
from dispatch.store.units import Units


class Store:
    """The database of a deployment.

    `lease` is how long a worker or run that is not heard of still counts as alive. With `within`, dispatch uses only
    the agents of that worker; else those of all workers that serve the queues.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        lease: timedelta,
        clock: Clock | None = None,
        within: IncarnationId | None = None,
    ) -> None:
        self.engine = engine
        self.units = Units(engine, clock or DatabaseClock())
        self.projects = ProjectRecords(self.units)
        self.imports = ImportRecords(self.units)
        self.edits = EditRecords(self.units)
        self.decisions = DecisionRecords(self.units)
        self.control = ControlRecords(self.units)
        self.reading = ReadingRecords(self.units)
        self.dispatching = DispatchRecords(self.units, lease, within)
        self.guarding = GuardRecords(self.units)
        self.providers = ProviderRecords(self.units)
        self.rescue = RescueRecords(self.units)
        self.routing = RoutingRecords(self.units)
        self.running = RunningRecords(self.units, lease)
        self.settling = SettlingRecords(self.units, lease)
        self.landings = LandingRecords(self.units)
        self.pull_requests = PullRequestRecords(self.units)
        self.lessons = LessonRecords(self.units)
        self.memory = ProjectMemory(self.units)
        self.sessions = SessionRecords(self.units)
        self.workflows = WorkflowRecords(self.units)
        self.swarm = Swarm(self.units, lease)

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


__all__ = [
    "DatabaseClock",
    "FixedClock",
    "StartedRun",
    "Store",
    "StoredDocument",
    "StoredMemory",
    "is_unavailable",
    "make_engine",
    "require_current",
    "upgrade",
]
