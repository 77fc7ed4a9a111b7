"""Options that several commands share, and what a left out `--project` means."""

import getpass
import re
from pathlib import Path
from typing import Annotated

import typer

from dispatch.errors import UsageError
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.store import Store

ProjectOption = Annotated[
    str | None,
    typer.Option("--project", help="The project; may be left out inside its directory, or when there is only one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write one JSON document.")]
BeadArgument = Annotated[str, typer.Argument(metavar="BEAD", help="An id, or project/id.", show_default=False)]


def calling_user() -> str:
    """Return who calls, as the tracker notes it; an id without a name, as in a container, is nobody in particular."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "dispatch"


PROJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What the configuration takes as the name of a project."""


def project_name(path: Path) -> str:
    """Return the id that a directory suggests for its project; empty when its name has no letter or digit for one."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.name).strip("-._")


def chosen_project(store: Store, given: str | None, cwd: Path | None = None) -> Project:
    """Return the project that is meant: the named one, else the one around `cwd`, else the only one.

    Raises `NotFoundError` and `UsageError`.
    """
    if given is not None:
        return store.projects.get(ProjectId(given))
    projects = store.projects.all()
    here = (cwd or Path.cwd()).resolve()
    around = [project for project in projects if here.is_relative_to(project.path)]
    if around:
        return max(around, key=lambda project: len(project.path.parts))
    if len(projects) == 1:
        return projects[0]
    if not projects:
        raise UsageError(problem="There is no project yet", cure="Add one: `dispatch project add PATH`.")
    known = ", ".join(project.id for project in projects)
    raise UsageError(problem="Which project is meant is not clear", cure=f"Say `--project` with one of: {known}.")
