"""Whether a project is ready: how results of several checks are one, how long it holds, and what follows from it.

Source: SPEC, "Dispatch", step 1.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from dispatch.models.guarding import CheckedReadiness, Readiness
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.settings import Settings

FRESH = timedelta(minutes=1)
"""How long a result is taken for true without another look."""
USABLE = 2 * FRESH
"""How long an older one still stands in for the look that is due: nothing waits for that."""


class ReadinessCheck(Protocol):
    """Says whether a project may be worked on. It may take seconds and may raise; both become issues."""

    def __call__(self, project: Project) -> Readiness: ...


def merged(results: Iterable[Readiness]) -> Readiness:
    """Return several results as one: ready when all say so, with the issues of each."""
    found = list(results)
    issues = dict.fromkeys(issue for result in found for issue in result.issues)
    return Readiness(ok=all(result.ok for result in found), issues=tuple(issues))


def is_due(checked: CheckedReadiness | None, now: datetime) -> bool:
    """Tell whether a project is to be looked at again."""
    return checked is None or now - checked.checked_at >= FRESH


def current(
    checked: CheckedReadiness | None, now: datetime, served: Collection[str], settings: Settings
) -> Readiness | None:
    """Return what is known of a project now; None: nothing that still holds.

    Which roles have a live worker is not cached: it is known at each look.
    """
    if checked is None or now - checked.checked_at >= USABLE:
        return None
    return merged([checked.readiness, _served(checked.needed, served, settings)])


def blocking_reason(project_id: ProjectId, readiness: Readiness | None) -> str | None:
    """Say why a project is parked in BLOCK mode; None: it is ready."""
    if readiness is None:
        return f"Whether {project_id} is ready is not known yet: the next tick looks."
    if readiness.ok:
        return None
    return f"{project_id} is not ready: {' '.join(readiness.issues) or 'its check gives no reason.'}"


def _served(needed: Collection[str], served: Collection[str], settings: Settings) -> Readiness:
    """Ask for a live worker for at least one needed role; a bead that names none may go to any."""
    unnamed = {"", UNCLEAR_BUG}
    roles = sorted({settings.resolve_role(hint) for hint in needed if hint not in unnamed})
    if not needed or (unnamed & set(needed) and served) or any(role in served for role in roles):
        return Readiness(ok=True)
    what = f"any role that its beads need ({', '.join(roles)})" if roles else "any role"
    return Readiness(ok=False, issues=(f"No live worker serves {what}.",))
