"""The command line, called in this process on a deployment of its own."""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from dispatch.cli import main
from dispatch.models.agent import Incarnation
from dispatch.models.identity import IncarnationId, RunId
from dispatch.models.messages import ResultMessage
from dispatch.models.outcome import Outcome
from dispatch.models.queues import ROLE_QUEUE_PREFIX
from dispatch.models.run import ActionRecord
from dispatch.settings import Settings
from dispatch.store import StartedRun, Store
from dispatch.wiring import wire


@dataclass(frozen=True)
class Said:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """Given the environment that leads a command to the test's own deployment."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DISPATCH_")}
    return ours | {
        "DISPATCH_HOME": str(settings.home),
        "DISPATCH_DATABASE_URL": settings.database_url,
        "DISPATCH_BROKER_URL": settings.broker_url,
        "DISPATCH_KEY_PREFIX": settings.key_prefix,
    }


@pytest.fixture
def cli(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Call]:
    """Given a function that calls the command line, away from any project, and tells how that ended."""
    for name in os.environ:
        if name.startswith("DISPATCH_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, printed.out, printed.err)

    yield call
    structlog.reset_defaults()


@pytest.fixture
def enlist(store: Store) -> Callable[..., Incarnation]:
    """Given a function that registers a worker which consumes some queues, as a real one does when it starts."""

    def register(*queues: str, agents: int = 0) -> Incarnation:
        roles = tuple(queue.removeprefix(ROLE_QUEUE_PREFIX) for queue in queues if queue.startswith(ROLE_QUEUE_PREFIX))
        worker = Incarnation(
            id=IncarnationId(uuid.uuid4()),
            node=f"worker-{'-'.join(queues)}@here",
            host="here",
            pid=1,
            version="1",
            queues=queues,
            roles=roles,
            agents=agents,
        )
        store.swarm.register(worker)
        return worker

    return register


@pytest.fixture
def beads_file(tmp_path: Path) -> Callable[..., Path]:
    """Given a function that writes a beads file of the given lines: documents, or texts as they are."""

    def write(*lines: dict[str, Any] | str, path: Path | None = None) -> Path:
        target = path or tmp_path / "issues.jsonl"
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        target.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return target

    return write


class DeafBus:
    """A bus that takes every order and delivers none: what is handed over stays pending."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **options: None


@pytest.fixture
def claimed(store: Store, settings: Settings, enlist: Callable[..., Incarnation]) -> Callable[[str], RunId]:
    """Given a worker with one agent, a function that gives it the bead that is to go next, and returns the run."""
    enlist("role.backend-engineer", agents=1)

    def claim(bead_id: str) -> RunId:
        result = wire(settings, store, DeafBus()).dispatcher.dispatch_once()
        assert (result.bead_id, result.error) == (bead_id, None)
        assert result.run_id is not None
        return result.run_id

    return claim


@pytest.fixture
def ran(store: Store, settings: Settings, claimed: Callable[[str], RunId]) -> Callable[[str, Outcome], RunId]:
    """Given a function that lets the bead which is to go next be worked on: one action, then the outcome."""

    def run(bead_id: str, outcome: Outcome) -> RunId:
        run_id = claimed(bead_id)
        started = store.running.start(run_id, store.swarm.workers()[0].id)
        assert isinstance(started, StartedRun)
        action = ActionRecord(timestamp=datetime.now(UTC), action_type="read", action_data={"path": "README.md"})
        store.running.record_actions(run_id, [action])
        message = ResultMessage(run_id=run_id, token=started.token, outcome=outcome)
        assert wire(settings, store, DeafBus()).results.handle_result(message) is not None
        return run_id

    return run
