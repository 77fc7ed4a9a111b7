"""Real servers for every test that needs them: one embedded pair a test process, a fresh database a test."""

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from dispatch import embedded
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.settings import Settings
from dispatch.store import Store, make_engine, upgrade

TEMPLATE = "dispatch_template"


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
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {TEMPLATE}"))
    migrated = make_engine(_at(servers.database_url, TEMPLATE))
    upgrade(migrated)
    migrated.dispose()
    yield engine
    engine.dispose()


@pytest.fixture
def database_url(servers: embedded.Servers, maintenance: Engine) -> Iterator[str]:
    """Given a fresh, migrated database."""
    name = f"test_{uuid.uuid4().hex}"
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    yield _at(servers.database_url, name)
    with maintenance.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


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


def _at(url: str, database: str) -> str:
    """Return the address of another database on the same server."""
    return url.replace("/dispatch?", f"/{database}?")
