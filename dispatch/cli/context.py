"""What every command starts from: the options before the command, the settings they lead to, the opened deployment."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import typer

from dispatch.ports import Clock
from dispatch.settings import Settings, load_settings
from dispatch.store import Store
from dispatch.wiring import System, find_servers, open_store, open_system


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

    @contextmanager
    def store(self, *, clock: Clock | None = None) -> Iterator[Store]:
        """Open the database alone: no broker is contacted, and Celery is not imported."""
        store = open_store(self.settings, find_servers(self.settings), clock=clock)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def system(self) -> Iterator[System]:
        """Open the whole deployment, with Celery as its bus."""
        system = open_system(self.settings)
        try:
            yield system
        finally:
            system.close()
