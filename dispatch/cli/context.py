"""What every command starts from: the options before the command, the settings they lead to, the opened deployment."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import typer

from dispatch.errors import UnavailableError
from dispatch.models.queues import CONTROL_QUEUE
from dispatch.ports import Clock
from dispatch.settings import Settings, load_settings, mask_password
from dispatch.store import Store, is_unavailable
from dispatch.wiring import Addresses, System, find_servers, open_bus, open_store, open_system, wire


class CommandContext:
    """One call of the command line. Nothing is read or opened before a command asks for it."""

    def __init__(self, *, home: Path | None = None, config: Path | None = None) -> None:
        self.home_option = home
        self.config_option = config

    @classmethod
    def of(cls, context: typer.Context) -> "CommandContext":
        """Return the context that the options before the command made."""
        found = context.find_object(cls)
        return found if found is not None else cls()

    @cached_property
    def settings(self) -> Settings:
        """The configuration; raises `ConfigurationError`."""
        return load_settings(home=self.home_option, config=self.config_option)

    @cached_property
    def addresses(self) -> Addresses:
        """Where the servers are; the embedded ones are started when they are the ones to use."""
        return find_servers(self.settings)

    @contextmanager
    def store(self, *, clock: Clock | None = None) -> Iterator[Store]:
        """Open the database alone: no broker is contacted, and Celery is not imported.

        Raises `UnavailableError` when the database is away, also when it goes away meanwhile.
        """
        with self.database_named():
            store = open_store(self.settings, self.addresses, clock=clock)
            try:
                yield store
            finally:
                store.close()

    @contextmanager
    def system(self) -> Iterator[System]:
        """Open the whole deployment, with Celery as its bus. Raises `UnavailableError` like `store`."""
        with self.database_named():
            system = open_system(self.settings)
            try:
                yield system
            finally:
                system.close()

    @contextmanager
    def database_named(self) -> Iterator[None]:
        """Turn what the driver says of a database that is away into an `UnavailableError` that names it."""
        try:
            yield
        except Exception as error:
            if not is_unavailable(error):
                raise
            cause = str(getattr(error, "orig", None) or error).strip()
            raise UnavailableError(
                server="PostgreSQL",
                place=mask_password(self.addresses.database_url),
                cause=" ".join(cause.split()),
                cure="Start it, or correct database_url; `dispatch doctor` looks at all parts.",
            ) from error

    def nudge(self, store: Store) -> None:
        """Ask a live ticker for a tick now. A courtesy: the next tick comes anyway, so a broker may be away."""
        if CONTROL_QUEUE in store.swarm.queues_served():
            wire(self.settings, store, open_bus(self.settings, self.addresses)).results.nudge()
