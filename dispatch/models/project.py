"""A project: a git repository with beads."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dispatch.models.identity import ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A row of `dispatch project list`. What the configuration says of it is `settings.ProjectSettings`.

    `prefix` is what new bead ids begin with; `number` is the key of the project's lock in the database.
    """

    id: ProjectId
    path: Path
    prefix: str
    number: int = 0
    paused: bool = False
    pause_reason: str = ""
    created_at: datetime | None = None
