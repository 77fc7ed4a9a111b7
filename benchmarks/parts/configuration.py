"""The deployment that the benchmarks measure: one project, no-op agents; all else is dispatch's default.

Agents of ROLE work in an empty directory, one after the other in one process, as bare Celery's tasks do; those of
WORKTREE_ROLE, as by default, in a git worktree and a process of their own. The same workers serve both.
"""

import subprocess
from pathlib import Path

from dispatch.models.identity import ProjectId
from dispatch.settings import Settings, load_settings

PROJECT = ProjectId("bench")
ROLE, WORKTREE_ROLE = "bench", "worktree"
_CONFIGURATION = """
home = "home"
[workers.agents]
roles = ["{role}", "{worktree_role}"]
concurrency = {agents}
[runners.noop]
kind = "python"
target = "benchmarks.parts.noop:finish"
workspace = "empty"
runs_per_process = 100
[runners.worktree]
kind = "python"
target = "benchmarks.parts.noop:finish"
[roles.{role}]
runners = ["noop"]
[roles.{worktree_role}]
runners = ["worktree"]
[projects.{project}]
path = "repository"
default_role = "{role}"
landing = "none"
"""


def configure(directory: Path, *, agents: int) -> Settings:
    """Write the configuration into a directory, beside a repository with one commit, and return what it says."""
    _make_repository(directory / "repository")
    file = directory / "dispatch.toml"
    names = {"role": ROLE, "worktree_role": WORKTREE_ROLE, "project": PROJECT}
    file.write_text(_CONFIGURATION.format(**names, agents=agents))
    return load_settings(config=file, environ={}, cwd=directory)


def _make_repository(path: Path) -> None:
    path.mkdir()
    (path / "README").write_text("bench\n")
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "."),
        (*identity, "commit", "--quiet", "-m", "Begin"),
    ):
        subprocess.run(["git", *arguments], cwd=path, check=True)
