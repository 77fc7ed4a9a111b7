"""Where a project's repository is on this host, and how its work lands: the one place where that is decided."""

import time
from functools import lru_cache
from pathlib import Path

from dispatch.models.project import Project
from dispatch.settings import Landing, ProjectSettings, Settings
from dispatch.workspaces.clones import CLONE_REMOTE, cached_clone, clone_path
from dispatch.workspaces.git import Git
from dispatch.workspaces.repository import Repository, Upstream


def find_repository(project: Project, settings: Settings) -> Repository:
    """Return a project's repository on this host: its path, or the cached clone, made when it is missing.

    With a `url` the project's target branch is the one there; with pull requests and no url, that of the remote. Raises
    UnavailableError when a clone is to be made and the address does not answer.
    """
    wanted = settings.project(project.id)
    path, upstream = project.path, None
    if wanted.url:
        upstream = Upstream(CLONE_REMOTE, wanted.url)
        if works_in_clone(project, settings):
            path = cached_clone(settings.home / "clones", project.id, wanted.url, wanted.target_branch)
    elif landing_of(project, settings) is Landing.PR:
        upstream = Upstream(wanted.remote)
    return Repository(path, wanted.target_branch, upstream)


def local_repository(project: Project, settings: Settings) -> Path | None:
    """Return where a project's repository is on this host, if it is here already; nothing is made."""
    path = clone_path(settings.home / "clones", project.id) if works_in_clone(project, settings) else project.path
    return path if path.is_dir() else None


def works_in_clone(project: Project, settings: Settings) -> bool:
    """Tell whether this host works on a project in a clone of its own."""
    wanted = settings.project(project.id)
    return bool(wanted.url) and (wanted.use_clone or not project.path.is_dir())


def landing_of(project: Project, settings: Settings) -> Landing:
    """Return how a project's work lands. Left open, that is a pull request where there is a remote, else a merge."""
    wanted = settings.project(project.id)
    if wanted.landing is not Landing.AUTO:
        return wanted.landing
    return Landing.PR if wanted.url or _has_remote(project.path, wanted) else Landing.MERGE


def _has_remote(path: Path, wanted: ProjectSettings) -> bool:
    """Ask git whether a repository has the remote: once, until its configuration changes."""
    for configuration in (path / ".git" / "config", path / "config"):
        if configuration.is_file():
            return _names_remote(path, wanted.remote, configuration.stat().st_mtime_ns)
    return path.is_dir() and _names_remote(path, wanted.remote, time.time_ns())


@lru_cache(maxsize=256)
def _names_remote(path: Path, remote: str, _changed_at: int) -> bool:
    return Git(path).attempt("config", "--get", f"remote.{remote}.url").code == 0
