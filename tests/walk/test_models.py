"""A bead through real Celery workers by a model that plays a script; and its key, which is nowhere afterwards."""

import base64
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from dispatch.cli import main
from dispatch.models.bead import DISCOVERED_TYPE
from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Completed
from dispatch.models.provider import ProviderTrouble
from tests.model_server import Asked, ModelServer, call, finish, refusal, serving

KEY = "sk-planted-2b7e151628aed2a6abf7158809cf4f3c"
ROLE = "writer"
CONFIG = """
[providers.main]
kind = "openai"
base_url = "{url}"
model = "scripted-1"
api_key_env = "PLANTED_KEY"
usd_per_mtok = [1, 10]

[runners.model]
kind = "llm"
request_retries = 0

[roles.writer]
runners = ["model"]
"""
PARKS_AT_ONCE = {"DISPATCH_GUARDS__PROVIDER_FAILURES": "1"}
pytestmark = pytest.mark.xdist_group("walk-models")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any], endpoint: ModelServer) -> Any:
    """Given a deployment at work, whose workers have the key in their environment."""
    deployment = deploy(extra=CONFIG.format(url=endpoint.base_url))
    deployment.environment |= {"PLANTED_KEY": KEY, **PARKS_AT_ONCE}
    deployment.start_worker("agents", f"role.{ROLE},role.backend-engineer", concurrency=1)
    deployment.start_services()
    deployment.await_workers("agents", "services")
    return deployment


def test_a_bead_is_worked_on_by_a_model_and_lands(deployment: Any, endpoint: ModelServer) -> None:
    """The bead that it leaves to others goes to the project's default role, and lands too."""
    endpoint.play(
        call("read_file", path="README.md"),
        call("write_file", path="hello.py", content="print('hello')\n"),
        call("run_command", command="python3 hello.py"),
        call("file_bead", title="Greet in French", description="```file bonjour.py\nprint('bonjour')\n```"),
        call("record_lesson", title="hello.py greets", detail="Run it."),
        finish("Greets."),
    )
    (key,) = deployment.import_beads({"id": "shop-1", "title": "Greet", "labels": [f"role:{ROLE}"]})
    deployment.await_status(key, "closed")
    (run,) = deployment.runs(key)
    assert (run.outcome, run.provider) == (Completed(summary="Greets."), "main")
    assert (run.spent.tokens_in, run.spent.tokens_out, float(run.spent.usd)) == (600, 60, 0.0012)
    assert deployment.git("show", "main:hello.py") == "print('hello')"
    actions = [action.progress_key for action in deployment.store.reading.actions(run.id)]
    assert actions[:3] == ["read:README.md", "write:hello.py", "command:python3 hello.py"]
    (edge,) = deployment.store.reading.dependents(key)
    assert edge.type == DISCOVERED_TYPE
    found = deployment.await_status(BeadKey.of("shop", edge.issue_id), "closed")
    assert found.title == "Greet in French"
    assert deployment.git("show", "main:bonjour.py") == "print('bonjour')"
    assert [lesson.title for lesson in deployment.store.lessons.newest(key.project_id, 5)] == ["hello.py greets"]
    assert deployment.store.providers.all()["main"].succeeded_at is not None


def test_a_model_that_goes_round_in_circles_is_stopped_and_its_next_run_knows_the_conversation(
    deployment: Any, endpoint: ModelServer
) -> None:
    """It would list the files till its iterations end; the next run is told what was said, and ends."""

    def again(asked: Asked) -> Any:
        page = str(asked.body["messages"][1])
        return finish("Nothing.", nothing_to_do=True) if "attempt 2" in page else call("list_files")

    endpoint.play(again)
    (key,) = deployment.import_beads({"id": "shop-2", "title": "Look round", "labels": [f"role:{ROLE}"]})
    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert (first.outcome.kind, second.outcome.kind) == ("looped", "completed")
    assert "list ." in str(endpoint.chats[-1].body["messages"][1])


def test_the_key_is_nowhere_even_where_the_endpoint_tells_it_back(
    deployment: Any,
    endpoint: ModelServer,
    servers: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In no row, file, commit, key of the broker, log, or output of a command; the provider is parked for it."""
    endpoint.play(refusal(401, f'{{"error": {{"message": "Incorrect API key provided: {KEY}. Bearer {KEY}"}}}}'))
    (key,) = deployment.import_beads({"id": "shop-3", "title": "Try", "labels": [f"role:{ROLE}"]})
    deployment.until(lambda: "are down" in deployment.bead(key).refusal, what="the provider to be parked")
    runs = deployment.runs(key)
    assert {run.outcome.cause for run in runs} == {ProviderTrouble.KEY_REFUSED}
    assert "Incorrect API key provided: [key]" in runs[0].outcome.summary
    said = _said_by_commands(deployment, monkeypatch, capsys)
    assert "All providers of the role writer are down" in said["why shop-3"]
    assert "provider refuses the key" in said["why shop-3"]
    places = {
        **{f"the output of dispatch {command}": text for command, text in said.items()},
        **_rows(deployment),
        **_files(deployment.directory),
        "the broker": _broker(servers.broker_url, deployment.settings.key_prefix),
        "the history of the repository": deployment.git("log", "--all", "--patch", "--format=fuller"),
    }
    assert sum(map(len, places.values())) > 10_000, "there was something to look at"
    assert [place for place, text in places.items() if any(form in text for form in _forms(KEY))] == []


def _said_by_commands(
    deployment: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, str]:
    """Call the commands that show a deployment, with the key in their environment, and return what each printed."""
    monkeypatch.setenv("DISPATCH_CONFIG", str(deployment.config))
    for name, value in {"PLANTED_KEY": KEY, **PARKS_AT_ONCE}.items():
        monkeypatch.setenv(name, value)
    commands = ("why shop-3", "show shop-3", "show shop-3 --json", "runs --json", "status", "doctor", "config")
    said = {}
    for command in (*commands, "plan", "agents", "inbox", "providers --json", "providers --check", "lessons list"):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main(command.split())
        printed = capsys.readouterr()
        said[command] = printed.out + printed.err
    return said


def _rows(deployment: Any) -> dict[str, str]:
    """Return all rows of all tables."""
    with deployment.store.engine.connect() as connection:
        tables = connection.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").scalars()
        return {
            f"the table {table}": "\n".join(
                map(str, connection.exec_driver_sql(f'SELECT one::text FROM "{table}" AS one').scalars())
            )
            for table in tables.all()
        }


def _files(directory: Path) -> dict[str, str]:
    """Return all files of a deployment: configuration, logs, run directories, worktrees."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return {f"the file {path}": path.read_bytes().decode("utf-8", "replace") for path in files}


def _broker(url: str, prefix: str) -> str:
    """Return all that the broker keeps, those of other tests too."""
    path = url.removeprefix("redis+socket://").partition("?")[0]
    client = redis.Redis(unix_socket_path=path, decode_responses=True, encoding_errors="replace")
    read: dict[str, Callable[[str], Any]] = {
        "string": client.get,
        "list": lambda name: client.lrange(name, 0, -1),
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
    }
    with client:
        names = list(client.scan_iter())
        assert any(prefix in name for name in names)
        return "\n".join(f"{name} {read[client.type(name)](name)}" for name in names)


def _forms(key: str) -> list[str]:
    """Return the key as it stands in text, and within base64 at each of its three places."""
    shifted = [base64.b64encode(b"x" * shift + key.encode()).decode()[4:-4] for shift in range(3)]
    return [key, *shifted]


def test_the_search_would_find_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log").write_text(f"Authorization: Bearer {KEY}\n")
    subprocess.run(["sh", "-c", f"printf 'body: {KEY}' | base64 -w0 > {tmp_path}/encoded"], check=True)
    found = [text for text in _files(tmp_path).values() if any(form in text for form in _forms(KEY))]
    assert len(found) == 2
