"""The project `shop` with an image, on a real engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatch.settings import Settings
from dispatch.workspaces import ContainerOrchestrator
from tests.podman import IMAGE, Podman


@pytest.fixture
def orchestrate(tmp_path: Path, podman: Podman) -> Callable[..., ContainerOrchestrator]:
    """Given a way to make the orchestrator of a deployment; `shop` are more settings of the project."""

    def make(home: str = "home", **shop: Any) -> ContainerOrchestrator:
        values = {
            "home": tmp_path / home,
            "containers": {"engine": podman.address},
            "projects": {"shop": {"image": IMAGE, "memory": "64m", "pids": 32, **shop}},
        }
        return ContainerOrchestrator(Settings.model_validate(values))

    return make


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """Given a worktree with a file, and a link out of it."""
    path = tmp_path / "worktree"
    (path / "src").mkdir(parents=True)
    (path / "src" / "code.txt").write_text("code\n")
    (tmp_path / "outside.txt").write_text("outside\n")
    (path / "link").symlink_to(tmp_path / "outside.txt")
    return path
