"""Runs a deployment on one host until it is told to end, has nothing left to do, or cannot go on."""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from enum import Enum

from dispatch import embedded
from dispatch.cli import deployment
from dispatch.cli.deployment import FlowerAccess
from dispatch.cli.idleness import Choice, is_idle
from dispatch.cli.live_follow import Follower
from dispatch.cli.live_view import LiveView
from dispatch.cli.local_service import NAME as LOCAL
from dispatch.cli.local_service import LocalService, Programs, serves_here
from dispatch.cli.selection import Selection, SelectiveTicker
from dispatch.cli.sessions import SessionRecord, kill_session, session_of_process
from dispatch.cli.supervisor import BEYOND_GRACE, Supervisor
from dispatch.cli.wishes import Wishes
from dispatch.embedded import UpLock
from dispatch.embedded.home import EmbeddedHome
from dispatch.errors import RefusedError
from dispatch.models.agent import Incarnation
from dispatch.models.identity import ProjectId
from dispatch.models.states import RunState
from dispatch.rerouting import follow_configuration
from dispatch.settings import Settings
from dispatch.store import Store, is_unavailable, make_engine, upgrade
from dispatch.wiring import find_servers, open_store, require_broker, require_result_backend, with_driver

Attend = Callable[[Store], bool]
"""Looks at a deployment now and then; tells whether there is still something that it waits for."""
_LOOK_SECONDS = 0.25
_KEEPER_LOOK_SECONDS = 2.0
_SETTLE_SECONDS = 5.0
_FORCE_SECONDS = 5.0


class End(Enum):
    """Why an upkeep ended."""

    ASKED = "asked"
    IDLE = "idle"
    BROKEN = "broken"


def keep_up(
    settings: Settings,
    view: LiveView,
    *,
    until_idle: bool = False,
    selection: Selection | None = None,
    environ: Mapping[str, str] = os.environ,
    attend: Attend | None = None,
) -> End:
    """Start all programs of a deployment, watch them, and end them again.

    With `until_idle` it ends when nothing is left to do. With a `selection` only the beads it takes are dispatched:
    then the ticks are made here, since no other process knows of it. `attend` is called at each look, and nothing is
    idle while it waits for something. Raises RefusedError when another `dispatch up`
    has the home, ConfigurationError when there is nothing to start, UnavailableError when a server does not answer.
    """
    agents = deployment.agent_workers(settings)
    with ExitStack() as stack:
        wishes = stack.enter_context(Wishes())
        stack.enter_context(UpLock(settings.home))
        record = SessionRecord(EmbeddedHome.at(settings.home).run / "sessions", settings.home)
        if record.end_leftovers(patience=program_grace(settings) + _FORCE_SECONDS):
            view.tell("Ended what a killed `dispatch up` had left.")
        store = prepare_store(settings)
        stack.callback(store.close)
        if serves_here(settings, store):
            return _serve_here(settings, store, view, wishes, until_idle, selection)
        _require_servers(settings)
        flower = FlowerAccess.fresh()
        view.tell(f"Flower: {flower.address}  user {flower.user}  password {flower.password}")
        services = deployment.services(settings, flower)
        environment = deployment.environment(settings, environ)
        ticker = None
        if selection is not None:
            environment["DISPATCH_DISPATCH__DISPATCH_AFTER_SETTLE"] = "false"
            services = [program for program in services if program.name not in (deployment.TICKER, deployment.BEAT)]
            ticker = SelectiveTicker(settings, selection)
            stack.callback(ticker.close)
        supervisor = Supervisor(
            [*agents, *services],
            directory=settings.home,
            logs=settings.home / "logs",
            environment=environment,
            record=record,
            grace=program_grace(settings),
        )
        upkeep = Upkeep(settings, store, view, wishes, supervisor, [program.name for program in agents])
        return upkeep.run(until_idle, ticker, attend)


def program_grace(settings: Settings) -> float:
    """Return the seconds that a program has to end in after SIGTERM: its agents' grace, and what follows it."""
    return settings.dispatch.grace.total_seconds() + BEYOND_GRACE


def longest_end(settings: Settings) -> float:
    """Return the seconds within which an upkeep that was asked to end has ended: agents, settling, the rest, force."""
    return 2 * (program_grace(settings) + _FORCE_SECONDS) + _SETTLE_SECONDS + _FORCE_SECONDS


def _require_servers(settings: Settings) -> None:
    """Raise `UnavailableError` when a server of the user's own keeps all programs from working."""
    addresses = find_servers(settings)
    if not settings.is_embedded_broker:
        require_broker(settings, addresses)
    require_result_backend(settings, addresses)


def _serve_here(
    settings: Settings, store: Store, view: LiveView, wishes: Wishes, until_idle: bool, selection: Selection | None
) -> End:
    if selection is not None:
        raise RefusedError(
            problem="--label and --limit choose among beads that go to Celery, and this deployment is served locally",
            cure='Leave them out, or set dispatch_mode = "queue".',
        )
    view.tell("Serving in this process, without a broker and without Flower (dispatch_mode).")
    return Upkeep(settings, store, view, wishes, LocalService(settings), [LOCAL]).run(until_idle, None)


def prepare_store(settings: Settings) -> Store:
    """Open the database at this version's schema, with the projects and roles in it that the configuration names."""
    addresses = find_servers(settings)
    engine = make_engine(with_driver(addresses.database_url))
    try:
        upgrade(engine)
    finally:
        engine.dispose()
    store = open_store(settings, addresses)
    known = {project.id: project.path for project in store.projects.all()}
    for name, project in settings.projects.items():
        if project.path is not None and known.get(ProjectId(name)) != project.path:
            store.projects.add(ProjectId(name), project.path)
    follow_configuration(store, settings)
    return store


class Upkeep:
    """One `dispatch up` at work. `agents` are the programs whose agents do the work: they end first."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        view: LiveView,
        wishes: Wishes,
        supervisor: Programs,
        agents: Sequence[str],
    ) -> None:
        self._settings = settings
        self._store = store
        self._view = view
        self._wishes = wishes
        self._supervisor = supervisor
        self._agents = agents
        self._follower = Follower(store)
        self._answers = True
        self._idle_before = False
        self._keeper_look_at = 0.0

    def run(self, until_idle: bool, ticker: SelectiveTicker | None, attend: Attend | None = None) -> End:
        """Start, watch, end."""
        if self._wishes.count:
            return End.ASKED
        self._supervisor.start(time.monotonic())
        try:
            return self._watch(until_idle, ticker, attend)
        finally:
            self._end()

    def _watch(self, until_idle: bool, ticker: SelectiveTicker | None, attend: Attend | None) -> End:
        chosen = ticker.selection.takes if ticker is not None else lambda bead: True
        while not self._wishes.count:
            self._have_servers_kept(time.monotonic())
            if not self._programs_go_on():
                return End.BROKEN
            if ticker is not None:
                self._tick(ticker)
            happened = self._show()
            waits = attend is not None and attend(self._store)
            if until_idle and not waits and self._is_idle(chosen, happened):
                self._view.tell("Nothing is left to do. Ending the workers ...")
                return End.IDLE
            self._wishes.wait(_LOOK_SECONDS)
        return End.ASKED

    def _have_servers_kept(self, now: float) -> None:
        """Start another keeper of the embedded servers when theirs was killed: without one, who dies stays dead.

        Raises EmbeddedServerError when the servers cannot be had any more.
        """
        embeds = self._settings.is_embedded_database or self._settings.is_embedded_broker
        if not embeds or now < self._keeper_look_at:
            return
        self._keeper_look_at = now + _KEEPER_LOOK_SECONDS
        if embedded.inspect(self._settings.home).keeper_pid is None:
            self._view.tell("The embedded servers have lost their keeper; starting another keeper.")
            embedded.ensure(self._settings.home)

    def _tick(self, ticker: SelectiveTicker) -> None:
        try:
            ticker.tick_if_due(time.monotonic())
        except Exception as error:
            if not is_unavailable(error):
                raise
            self._note_outage()

    def _programs_go_on(self) -> bool:
        """Start again what died; False when something died too often."""
        notices = self._supervisor.look(time.monotonic())
        for notice in notices:
            self._view.tell(notice.text)
        return not any(notice.fatal for notice in notices)

    def _show(self) -> int:
        """Show what is new; return how much that was, or -1 when the database does not answer."""
        try:
            news = self._follower.news()
            self._view.show(self._follower.picture(), self._follower.lines(news))
        except Exception as error:
            if not is_unavailable(error):
                raise
            self._note_outage()
            return -1
        self._answers = True
        return len(news)

    def _note_outage(self) -> None:
        if self._answers:
            self._view.tell("The database does not answer; waiting for it.")
        self._answers = False

    def _is_idle(self, chosen: Choice, happened: int) -> bool:
        """Idle twice in a row, and nothing happened in between: no bead was on its way from one state to another."""
        if happened:
            self._idle_before = False
            return False
        try:
            idle = is_idle(self._store, self._settings, chosen)
        except Exception as error:
            if not is_unavailable(error):
                raise
            idle = False
        before, self._idle_before = self._idle_before, idle
        return idle and before

    def _end(self) -> None:
        """End the agents first, so that what they hand back is still settled; then the rest."""
        asked = self._wishes.count
        if asked:
            self._view.tell("Ending: agents hand back what they are at. Press Ctrl-C again to end at once.")
        patience = program_grace(self._settings) + _FORCE_SECONDS
        self._supervisor.stop(self._agents)
        in_peace = self._wait(lambda: not self._supervisor.alive(self._agents), patience, asked)
        if in_peace:
            self._wait(self._is_settled, _SETTLE_SECONDS, asked)
            self._supervisor.stop()
            in_peace = self._wait(lambda: not self._supervisor.alive(), patience, asked)
        if not in_peace:
            self._force()

    def _wait(self, condition: Callable[[], bool], seconds: float, asked: int) -> bool:
        """Wait for a condition; False after so many seconds, or when the user asked again."""
        deadline = time.monotonic() + seconds
        while True:
            self._supervisor.look(time.monotonic())
            self._show()
            if condition():
                return True
            if self._wishes.count > asked or time.monotonic() >= deadline:
                return False
            self._wishes.wait(_LOOK_SECONDS / 2)

    def _is_settled(self) -> bool:
        try:
            return all(run.state is not RunState.REPORTED for run in self._store.reading.runs(open_only=True))
        except Exception as error:
            if not is_unavailable(error):
                raise
            return True

    def _force(self) -> None:
        """End everything at once, and give back in the place of the workers what they had no time for."""
        killed = self._own_workers()
        self._supervisor.kill()
        deadline = time.monotonic() + _FORCE_SECONDS
        while self._supervisor.alive() and time.monotonic() < deadline:
            self._supervisor.look(time.monotonic())
            time.sleep(_LOOK_SECONDS / 5)
        for name in self._supervisor.alive():
            session = self._supervisor.session_of(name)
            if session is not None:
                kill_session(session)
        try:
            for worker in killed:
                self._store.swarm.stop_taking(worker)
                self._store.swarm.leave(worker)
        except Exception as error:
            if not is_unavailable(error):
                raise

    def _own_workers(self) -> list[Incarnation]:
        """Return the registered workers that run in the sessions of our programs; none while the database is away."""
        sessions = {self._supervisor.session_of(name) for name in self._supervisor.alive()} - {None}
        here = socket.gethostname()
        try:
            workers = self._store.swarm.workers()
        except Exception as error:
            if not is_unavailable(error):
                raise
            return []
        return [worker for worker in workers if worker.host == here and session_of_process(worker.pid) in sessions]
