"""Real agent programs go through the queue, driven by a scripted model on loopback."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from dispatch.deciding import Answer, decide
from dispatch.models.identity import BeadKey
from dispatch.models.states import RunState
from tests.walk.model_server import CACHED, TOKENS_IN, TOKENS_OUT, Call, Hang, ModelServer, Patch, Say, Turn
from tests.walk.npm_programs import CLAUDE, CODEX, OPENCODE, NpmProgram, find, installed

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs"), pytest.mark.timeout(300)]

KEY = "a-key-of-the-tests"
PATIENCE = 120.0
"""Seconds to wait for a run: a program may take five seconds of the processor for its start alone."""


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer().serving() as server:
        yield server


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any], model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Given a deployment with a role for each program, named like it; `free-codex` has no sandbox of its own."""
    codex = _codex_options(model)
    runners = [
        _runner("codex", CODEX, codex, "usd_per_mtok = [1.0, 10.0]"),
        _runner("hasty-codex", CODEX, codex, 'silence_limit = "3s"'),
        _runner("free-codex", CODEX, [*codex, "--sandbox", "danger-full-access"]),
        _runner("claude", CLAUDE, ["--model", "scripted"], 'env = ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"]'),
        _runner("opencode", OPENCODE, ["--model", "scripted/model"]),
    ]
    deployment = deploy(extra="".join(runners))
    _bring_commands(deployment)
    environment = {"MODEL_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url}
    environment |= {"HOME": str(tmp_path_factory.mktemp("home")), "OPENCODE_CONFIG_CONTENT": _opencode_options(model)}
    deployment.environment |= environment | dict.fromkeys(QUIET, "1")
    roles = ("codex", "hasty-codex", "free-codex", "claude", "opencode")
    deployment.start_worker("agents", ",".join(f"role.{role}" for role in roles), concurrency=1)
    deployment.start_services()
    deployment.await_workers("agents", "services")
    return deployment


QUIET = ("OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_DEFAULT_PLUGINS")
"""Keep a program from looking at the network for what no test needs."""


def _bring_commands(deployment: Any) -> None:
    """Let the repository name commands that programs would run by themselves, each of which leaves a file."""
    place = deployment.directory / "brought"
    place.mkdir()
    hook = {"type": "command", "command": f"touch {place}/claude"}
    writes = f'fs.writeFileSync("{place}/opencode", "")'
    plugin = f'import fs from "fs"\nexport const Brought = async () => {{ {writes}; return {{}} }}\n'
    files = {
        ".claude/settings.json": json.dumps({"hooks": {"SessionStart": [{"hooks": [hook]}]}}),
        ".codex/config.toml": f'[mcp_servers.brought]\ncommand = "touch"\nargs = ["{place}/codex"]\n',
        ".opencode/plugin/brought.js": plugin,
    }
    for name, text in files.items():
        path = deployment.repository / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    deployment.git("add", ".")
    deployment.git("commit", "-qm", "Bring commands")


def _runner(name: str, program: NpmProgram, options: list[str], more: str = "") -> str:
    """Return the TOML of a runner and of the role that it serves."""
    env = "" if "env =" in more else f"env = {json.dumps(['MODEL_KEY', 'OPENCODE_CONFIG_CONTENT', *QUIET])}"
    argv = json.dumps([str(find(program) or "not-installed"), *options])
    runner = f'[runners.{name}]\npreset = "{program.name}"\nargv = {argv}\n{env}\n{more}\n'
    return f'{runner}[roles.{name}]\nrunners = ["{name}"]\n'


def _codex_options(model: ModelServer) -> list[str]:
    provider = f'{{name = "scripted", base_url = "{model.url}/v1", wire_api = "responses", env_key = "MODEL_KEY"}}'
    return ["--model", "gpt-5.5", "-c", "model_provider=scripted", "-c", f"model_providers.scripted={provider}"]


def _opencode_options(model: ModelServer) -> str:
    limits = {"limit": {"context": 100_000, "output": 1000}, "cost": {"input": 1, "output": 10}, "tool_call": True}
    options = {"baseURL": f"{model.url}/v1", "apiKey": "{env:MODEL_KEY}"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"model": limits}}
    return json.dumps({"provider": {"scripted": provider}, "small_model": "scripted/model"})


@pytest.fixture
def has_codex() -> None:
    installed(CODEX)


@pytest.fixture
def has_claude() -> None:
    installed(CLAUDE)


@pytest.fixture
def has_opencode() -> None:
    installed(OPENCODE)


def add(deployment: Any, bead_id: str, title: str, role: str) -> BeadKey:
    (key,) = deployment.import_beads({"id": bead_id, "title": title, "labels": [f"role:{role}"]})
    return key


def actions_of(deployment: Any, run: Any) -> list[str]:
    return [action.progress_key for action in deployment.store.reading.actions(run.id)]


def brought(deployment: Any) -> list[str]:
    """Return the programs that ran a command which the repository brought."""
    return sorted(path.name for path in (deployment.directory / "brought").iterdir())


def tokens_of(deployment: Any, run: Any) -> tuple[int, int]:
    return tuple(deployment.ask(f"SELECT tokens_{way} FROM runs WHERE id = :run", run=run.id) for way in ("in", "out"))


def settled(deployment: Any, key: BeadKey, attempt: int = 1) -> Any:
    """Wait until a run of the bead is settled, and return it."""

    def is_settled() -> bool:
        runs = deployment.runs(key)
        return len(runs) >= attempt and runs[attempt - 1].state is RunState.SETTLED

    deployment.until(is_settled, what=f"run {attempt} of {key} to be settled", seconds=PATIENCE)
    return deployment.runs(key)[attempt - 1]


def answer(deployment: Any, key: BeadKey, advice: str) -> None:
    given = Answer(option="answer", by="ceo", advice=advice)
    decide(deployment.store, deployment.system.settings, str(key), given, now=datetime.now(UTC))
    deployment.system.results.nudge()


def goes_on_after_an_answer(deployment: Any, model: ModelServer, role: str, edit: Turn) -> tuple[Any, Any]:
    """Let a program ask a human and go on with the answer in its own session; return its two runs."""
    bead_id = f"{role}-asks"
    model.scripts[bead_id] = [
        Say("I looked around.\n\nDISPATCH: needs_input: Which colour?"),
        edit,
        Say("DISPATCH: completed: It is blue now."),
    ]
    key = add(deployment, bead_id, "Paint the shed", role)
    asking = settled(deployment, key)
    assert (asking.outcome.kind, asking.outcome.question) == ("needs_input", "Which colour?")
    answer(deployment, key, "Paint it blue.")
    done = settled(deployment, key, 2)
    deployment.await_status(key, "closed")
    assert (done.outcome.kind, done.outcome.summary) == ("completed", "It is blue now.")
    assert deployment.git("show", f"main:{role}.txt") == "blue"
    first, *_, last = model.about(bead_id)
    assert "Paint it blue." in last.text
    assert "I looked around." in last.text, "the session of the first run went on"
    assert "I looked around." not in first.text
    assert "Your session of the last attempt goes on." in last.text
    assert role not in brought(deployment)
    return asking, done


@pytest.mark.usefixtures("has_codex")
def test_codex_edits_files_in_its_worktree_and_its_work_lands(deployment: Any, model: ModelServer) -> None:
    model.scripts["codex-works"] = [
        Call("exec_command", {"cmd": "ls"}),
        Patch("*** Begin Patch\n*** Add File: hello.py\n+print('hello')\n*** End Patch\n"),
        Call("exec_command", {"cmd": "python3 hello.py"}),
        Say("All done.\n\nDISPATCH: lesson: Greeting: it is printed\nDISPATCH: completed: It greets."),
    ]
    key = add(deployment, "codex-works", "Greet", "codex")
    deployment.await_status(key, "closed")
    (run,) = deployment.runs(key)

    assert (run.outcome.kind, run.outcome.summary) == ("completed", "It greets.")
    assert actions_of(deployment, run) == ["command:ls", "edit:hello.py", "command:python3 hello.py"]
    assert deployment.git("show", "main:hello.py") == "print('hello')"
    assert deployment.git("log", "-1", "--format=%s", "main") == "Greet"
    assert tokens_of(deployment, run) == (4 * TOKENS_IN, 4 * TOKENS_OUT)
    assert deployment.bead(key).usd == Decimal(4 * (TOKENS_IN * 1 + TOKENS_OUT * 10)) / 1_000_000
    assert deployment.ask("SELECT title FROM lessons WHERE run_id = :run", run=run.id) == "Greeting"
    assert {request.authorization for request in model.about("codex-works")} == {f"Bearer {KEY}"}


@pytest.mark.usefixtures("has_codex")
def test_codex_commits_by_itself_and_its_commit_lands(deployment: Any, model: ModelServer) -> None:
    work = "echo mine > mine.txt && git add mine.txt && git commit -qm 'A commit of its own'"
    model.scripts["codex-commits"] = [Call("exec_command", {"cmd": work}), Say("DISPATCH: completed: Committed.")]
    key = add(deployment, "codex-commits", "Commit", "free-codex")
    deployment.await_status(key, "closed")

    assert deployment.git("log", "-1", "--format=%s", "main") == "A commit of its own"
    assert deployment.git("show", "main:mine.txt") == "mine"


@pytest.mark.usefixtures("has_codex")
def test_codex_asks_a_human_and_goes_on_in_its_session(deployment: Any, model: ModelServer) -> None:
    edit = Call("exec_command", {"cmd": "echo blue > codex.txt"})
    asking, done = goes_on_after_an_answer(deployment, model, "codex", edit)

    assert tokens_of(deployment, asking) == (TOKENS_IN, TOKENS_OUT)
    assert tokens_of(deployment, done) == (2 * TOKENS_IN, 2 * TOKENS_OUT), (
        "what the session used before is not told twice"
    )


@pytest.mark.usefixtures("has_codex")
def test_codex_whose_model_never_answers_is_stopped(deployment: Any, model: ModelServer) -> None:
    model.scripts["codex-hangs"] = [Hang(), Say("DISPATCH: nothing_to_do: There is nothing.")]
    key = add(deployment, "codex-hangs", "Wait", "hasty-codex")
    run = settled(deployment, key)

    assert (run.outcome.kind, run.outcome.cause) == ("failed", "silent")


@pytest.mark.usefixtures("has_codex")
def test_codex_that_goes_round_in_circles_is_stopped(deployment: Any, model: ModelServer) -> None:
    model.scripts["codex-loops"] = [Call("exec_command", {"cmd": "echo 1 failed"})]
    key = add(deployment, "codex-loops", "Go round", "codex")
    run = settled(deployment, key)
    model.scripts["codex-loops"] = [Say("DISPATCH: nothing_to_do: There is nothing.")]

    assert run.outcome.kind == "looped"
    assert "`command echo 1 failed`" in run.outcome.reason
    deployment.await_status(key, "closed")


@pytest.mark.usefixtures("has_claude")
def test_claude_asks_a_human_and_goes_on_in_its_session_from_another_worktree(
    deployment: Any, model: ModelServer
) -> None:
    write = Call("Write", {"file_path": "{workspace}/claude.txt", "content": "blue\n"})
    _, done = goes_on_after_an_answer(deployment, model, "claude", write)

    assert actions_of(deployment, done) == ["edit:claude.txt"]
    assert tokens_of(deployment, done) == (2 * TOKENS_IN, 2 * TOKENS_OUT)


@pytest.mark.usefixtures("has_claude")
def test_claude_is_refused_what_nobody_allowed_and_that_reaches_a_human(deployment: Any, model: ModelServer) -> None:
    outside = Call("Write", {"file_path": "/tmp/of-nobody.txt", "content": "x"})
    model.scripts["claude-wants"] = [outside, Say("I need your permission to write that file.")]
    run = settled(deployment, add(deployment, "claude-wants", "Write elsewhere", "claude"))

    assert run.outcome.kind == "needs_input"
    assert "write to /tmp/of-nobody.txt" in run.outcome.question


@pytest.mark.usefixtures("has_opencode")
def test_opencode_asks_a_human_and_goes_on_in_its_session_from_another_worktree(
    deployment: Any, model: ModelServer
) -> None:
    write = Call("write", {"filePath": "{workspace}/opencode.txt", "content": "blue\n"})
    _, done = goes_on_after_an_answer(deployment, model, "opencode", write)

    assert actions_of(deployment, done) == ["edit:opencode.txt"]
    assert tokens_of(deployment, done) == (2 * TOKENS_IN, 2 * TOKENS_OUT)
    cost = 2 * ((TOKENS_IN - CACHED) * 1 + TOKENS_OUT * 10)
    assert deployment.ask("SELECT usd FROM runs WHERE id = :run", run=done.id) == Decimal(cost) / 1_000_000
