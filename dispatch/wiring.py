"""The only place where parts are joined."""

from dataclasses import dataclass
from pathlib import Path

from dispatch import embedded
from dispatch.dispatcher import Dispatcher, Tick
from dispatch.learning import LessonsProvider
from dispatch.models.identity import IncarnationId, ProjectId
from dispatch.ports import Clock, MessageBus
from dispatch.results import DecisionEscalator, ResultHandler, WorkflowEngine
from dispatch.settings import Settings, load_settings
from dispatch.store import Store, make_engine, require_current, upgrade
from dispatch.workspaces import (
    ContainerOrchestrator,
    Repository,
    RepositoryCheck,
    ScratchSpaces,
    WorktreeManager,
    find_repository,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the servers of a deployment are."""

    database_url: str
    broker_url: str
    result_backend_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A wired deployment, as one process uses it."""

    settings: Settings
    store: Store
    bus: MessageBus
    dispatcher: Dispatcher
    results: ResultHandler
    workflows: WorkflowEngine
    tick: Tick
    worktrees: WorktreeManager
    scratch: ScratchSpaces
    containers: ContainerOrchestrator
    lessons: LessonsProvider

    def repository(self, project_id: ProjectId) -> Repository:
        """Return the git repository of a project; raises `NotFoundError`."""
        return _repository(self.store, self.settings, project_id)

    @property
    def runs_directory(self) -> Path:
        """Where the assignment and log of each run are kept."""
        return self.settings.home / "runs"

    @property
    def worktrees_directory(self) -> Path:
        return worktrees_directory(self.settings)

    def close(self) -> None:
        """Give back all connections. The embedded servers go on as long as somebody uses them."""
        self.bus.close()
        self.store.close()


def worktrees_directory(settings: Settings) -> Path:
    """Return where the worktrees of runs are on this host."""
    return settings.home / "worktrees"


def find_servers(settings: Settings) -> Addresses:
    """Return where the servers are; the embedded ones are started when they are the ones to use."""
    servers = None
    if settings.is_embedded_database or settings.is_embedded_broker:
        servers = embedded.ensure(settings.home)
    database_url = settings.database_url or (servers.database_url if servers else "")
    broker_url = settings.broker_url or (servers.broker_url if servers else "")
    return Addresses(
        database_url=with_driver(database_url),
        broker_url=broker_url,
        result_backend_url=settings.effective_result_backend or broker_url,
    )


def with_driver(url: str) -> str:
    """Name the driver in a PostgreSQL address that leaves it open."""
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return f"postgresql+psycopg://{url[len(scheme) :]}"
    return url


def open_store(
    settings: Settings, addresses: Addresses, *, clock: Clock | None = None, within: IncarnationId | None = None
) -> Store:
    """Open the database; one of an embedded server is migrated first, since nobody else would.

    With `within`, dispatch uses only the agents of that worker. Raises `UnavailableError` when the schema is another.
    """
    engine = make_engine(addresses.database_url)
    try:
        if settings.is_embedded_database:
            upgrade(engine)
        else:
            require_current(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, lease=settings.dispatch.lease, clock=clock, within=within)


def wire(settings: Settings, store: Store, bus: MessageBus, *, goes_on: bool = False) -> System:
    """Join the parts around a store and a bus.

    With `goes_on` this process dispatches at once what it made possible by settling a run or landing work; else it
    asks for a tick.
    """
    workflows = WorkflowEngine(store, settings, bus=bus)
    worktrees = WorktreeManager(
        worktrees_directory(settings), lambda project_id: _repository(store, settings, project_id)
    )
    containers = ContainerOrchestrator(settings)
    dispatcher = Dispatcher(
        store,
        bus,
        settings,
        built_in_checks=[RepositoryCheck(settings)],
        escalator=DecisionEscalator(store),
        workflows=workflows,
        swarm=store.swarm,
        memory=store.memory,
        worktrees=worktrees,
        containers=containers,
    )
    results = ResultHandler(store, bus, settings, go_on=(lambda: tick.go_on()) if goes_on else None)  # noqa: PLW0108 - made below
    tick = Tick(store, dispatcher, bus, settings, sweep=results.sweep, tend=workflows.tend)
    return System(
        settings=settings,
        store=store,
        bus=bus,
        dispatcher=dispatcher,
        results=results,
        workflows=workflows,
        tick=tick,
        worktrees=worktrees,
        scratch=ScratchSpaces(worktrees_directory(settings)),
        containers=containers,
        lessons=LessonsProvider(store, settings),
    )


def open_system(settings: Settings | None = None, *, home: Path | None = None, bus: MessageBus | None = None) -> System:
    """Open a deployment: settings are loaded unless given, servers found or started, Celery the bus unless given."""
    settings = settings or load_settings(home=home)
    addresses = find_servers(settings)
    return wire(settings, open_store(settings, addresses), bus or open_bus(settings, addresses))


def open_bus(settings: Settings, addresses: Addresses) -> MessageBus:
    """Return the Celery bus of a deployment. It connects when something is published."""
    # Celery takes 0.3 s to import, which commands that only use the database do not have to pay.
    from dispatch.bus.celery import CeleryBus, make_app

    return CeleryBus(make_app(settings, addresses.broker_url, addresses.result_backend_url), settings)


def require_broker(settings: Settings, addresses: Addresses) -> None:
    """Raise `UnavailableError` when the broker does not take a connection within about 3 s."""
    from dispatch.bus.celery import make_app
    from dispatch.bus.reaching import require_broker

    require_broker(make_app(settings, addresses.broker_url, addresses.result_backend_url), addresses.broker_url)


def require_result_backend(settings: Settings, addresses: Addresses) -> None:
    """Raise `UnavailableError` when the result backend does not answer within about 3 s.

    Where it is the broker, `require_broker` has asked it already.
    """
    if addresses.result_backend_url == addresses.broker_url:
        return
    from dispatch.bus.celery import make_app
    from dispatch.bus.reaching import require_result_backend

    app = make_app(settings, addresses.broker_url, addresses.result_backend_url)
    require_result_backend(app, addresses.result_backend_url)


def connect(home: Path | str | None = None) -> Dispatcher:
    """Return a dispatcher that is wired to the deployment of `home` (else the one of the working directory)."""
    return open_system(home=Path(home) if home is not None else None).dispatcher


def _repository(store: Store, settings: Settings, project_id: ProjectId) -> Repository:
    return find_repository(store.projects.get(project_id), settings)
