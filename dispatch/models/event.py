"""The history: what happened, in order, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dispatch.models.identity import BeadId, ProjectId, RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the history. `kind` is `<thing>.<what happened>`, for example `run.started`."""

    id: int
    at: datetime
    kind: str
    project_id: ProjectId | None = None
    bead_id: BeadId | None = None
    run_id: RunId | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
