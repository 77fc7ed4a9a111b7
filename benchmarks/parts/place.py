"""Embedded servers of a benchmark's own, and databases on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from dispatch import embedded
from dispatch.store import make_engine, upgrade

_TEMPLATE = "dispatch_bench_template"


class Place:
    """Embedded servers, and a migrated database to copy."""

    def __init__(self, home: Path, servers: embedded.Servers) -> None:
        self.home = home
        self.broker_url = servers.broker_url
        self._database_url = servers.database_url
        self._create(_TEMPLATE)
        engine = make_engine(self.url(_TEMPLATE))
        try:
            upgrade(engine)
        finally:
            engine.dispose()

    def url(self, database: str) -> str:
        """Return the address of a database, with the password."""
        return make_url(self._database_url).set(database=database).render_as_string(hide_password=False)

    def database(self, name: str) -> str:
        """Make a fresh database of dispatch and return its address."""
        self._create(name, _TEMPLATE)
        return self.url(name)

    def _create(self, name: str, template: str = "template1") -> None:
        engine = create_engine(self._database_url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        finally:
            engine.dispose()


@contextmanager
def embedded_place(home: Path) -> Iterator[Place]:
    """Run embedded servers for a block; nothing of them is left after it."""
    try:
        yield Place(home, embedded.ensure(home))
    finally:
        embedded.purge(home)
