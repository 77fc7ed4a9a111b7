"""A conversation with a scripted model in this process, in a worktree of its own."""

import asyncio
import io
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.messages import AssignedBead, AssignedProject, Assignment
from dispatch.settings import ModelLimits, ProviderSettings
from tests.model_server import ModelServer, serving
from workers.runners.llm.commands import on_host
from workers.runners.llm.configuration import ModelRun
from workers.runners.llm.program import Conversation
from workers.runners.llm.tools import Toolbox
from workers.runners.llm.voice import Secret, Voice
from workers.runners.llm.worktree import Worktree

KEY = "sk-planted-2b7e151628aed2a6"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


class Talk:
    """A run with the scripted model: what the model did, what dispatch is told, how it ended."""

    def __init__(self, directory: Path, server: ModelServer) -> None:
        self.server = server
        self.workspace = directory / "workspace"
        self.workspace.mkdir()
        self.git_dir = directory / "repository"
        git = ["git", "init", "--quiet", f"--separate-git-dir={self.git_dir}", str(self.workspace)]
        subprocess.run(git, check=True)
        self.test_command: tuple[str, ...] = ()
        self.said = io.StringIO()
        server.asked.clear()

    def toolbox(self, **environment: str) -> Toolbox:
        assignment = Assignment(
            run_id=uuid.uuid4(),
            attempt=1,
            role="dev",
            timeout_seconds=60,
            workspace=self.workspace,
            project=AssignedProject(id="shop", target_branch="main", test_command=self.test_command),
            bead=AssignedBead(id="shop-1", title="A bead"),
        )
        run = on_host(self.workspace, {"PATH": "/usr/bin:/bin", **environment})
        return Toolbox(assignment, self.voice, Worktree(self.workspace), run, command_timeout=30.0)

    @property
    def voice(self) -> Voice:
        return Voice(Secret(KEY), self.said)

    def run(self, *script: Any, limits: dict[str, Any] | None = None, **provider: Any) -> dict[str, Any]:
        """Let the model play a script; return the fields of the result."""
        self.server.play(*script)
        settings = ProviderSettings.model_validate(self.server.provider(api_key_env="MY_KEY", **provider))
        run = ModelRun.of("main", settings, ModelLimits.model_validate({"request_retries": 2, **(limits or {})}))
        return asyncio.run(Conversation(run, KEY, self.voice, self.toolbox()).result("Do it."))

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in map(json.loads, self.said.getvalue().splitlines()) if event["type"] == kind]

    @property
    def results(self) -> list[str]:
        """What the tools told the model."""
        return self.server.chats[-1].results


@pytest.fixture
def talk(tmp_path: Path, endpoint: ModelServer) -> Talk:
    return Talk(tmp_path, endpoint)
