"""The runner: the program as a process of its own, under the guard, with the key in its environment alone."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from dispatch.models.messages import ActionEvent
from dispatch.models.outcome import Cancelled, Completed, Failed
from dispatch.models.provider import ProviderTrouble
from dispatch.models.states import StopReason
from dispatch.settings import ModelLimits, ProviderSettings
from tests.model_server import Asked, call, finish, refusal
from workers.runners import LlmRunner

KEY = "sk-planted-2b7e151628aed2a6"


@pytest.fixture
def runner(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> LlmRunner:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setenv("PASSED_ON", "yes")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    provider = ProviderSettings.model_validate(endpoint.provider(api_key_env="PLANTED_KEY"))
    limits = ModelLimits.model_validate({"request_retries": 0})
    return LlmRunner("main", provider, limits, pass_env=["PASSED_ON"])


def test_the_program_works_in_the_workspace_and_its_commands_do_not_see_the_key(
    runner: LlmRunner, endpoint: Any, stage: Any
) -> None:
    """Nor does a file of the repository get into the program: the directory that it works in is not imported from."""
    workspace = Path(stage.context.assignment.workspace)
    (workspace / "json.py").write_text("raise SystemExit(3)")
    endpoint.play(call("run_command", command="env | sort > env.txt; echo $PASSED_ON"), finish("Looked."))
    assert stage.run(runner) == Completed(summary="Looked.")
    environment = (workspace / "env.txt").read_text()
    assert "PASSED_ON=yes" in environment
    assert "PLANTED" not in environment
    assert "proxy" not in environment.lower()
    (action,) = [event for event in stage.events if isinstance(event, ActionEvent)]
    assert (action.action_type, bool(action.result_hash)) == ("command", True)
    assert "A bead" in str(endpoint.chats[-1].body["messages"]), "the prompt is the page of every agent"
    run_directory = Path(stage.context.run_directory)
    names = ["assignment.json", "model.json", "prompt.md"]
    assert sorted(path.name for path in run_directory.iterdir()) == names
    assert not any(KEY in path.read_text() for path in run_directory.iterdir())
    assert (run_directory / "model.json").stat().st_mode & 0o777 == 0o600


def test_an_endpoint_that_tells_the_key_back_is_not_heard_with_it(runner: LlmRunner, endpoint: Any, stage: Any) -> None:
    endpoint.play(refusal(401, f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'))
    outcome = stage.run(runner)
    assert isinstance(outcome, Failed)
    assert outcome.cause == ProviderTrouble.KEY_REFUSED
    assert "Incorrect API key provided: [key]" in outcome.summary
    written = [path.read_text() for path in Path(stage.context.run_directory).iterdir()]
    assert KEY not in str([outcome, stage.events, *written])


def test_without_its_key_nothing_is_started(endpoint: Any, stage: Any) -> None:
    provider = ProviderSettings.model_validate(endpoint.provider(api_key_env="NO_SUCH_KEY"))
    outcome = stage.run(LlmRunner("main", provider, ModelLimits()))
    assert isinstance(outcome, Failed)
    assert outcome.cause == "no key for the provider"
    assert "NO_SUCH_KEY" in outcome.summary
    assert stage.identities == []


def test_being_stopped_ends_its_commands_too(runner: LlmRunner, endpoint: Any, stage: Any) -> None:
    """The model is asked once more while a command that left its group still runs; then the run is stopped."""
    workspace = Path(stage.context.assignment.workspace)

    def stop(asked: Asked) -> Any:
        stage.control.ask_to_stop(StopReason.CANCEL)
        return call("run_command", command="sleep 600")

    leave = "setsid sh -c 'echo $$ > pid; exec sleep 600' > /dev/null 2>&1 & while ! test -s pid; do sleep 0.05; done"
    endpoint.play(call("run_command", command=leave), stop)
    assert stage.run(runner) == Cancelled(cause=StopReason.CANCEL)
    pid = int((workspace / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
