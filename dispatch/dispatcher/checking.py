"""Looks at the readiness of projects, outside of any transaction, and for a bounded time."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from typing import Protocol

import structlog

from dispatch.models.guarding import Readiness
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.readiness.checking import FRESH, ReadinessCheck, merged

PATIENCE = 8.0
"""Seconds that all looks of a round together may take: a tick has 20 s, and its locks may cost it some."""
_GIVEN_UP = timedelta(seconds=30)
"""How long a look by somebody else is waited for: who takes longer was ended in the midst of it."""

log = structlog.get_logger(__name__)


class ReadinessRecords(Protocol):
    """What is needed of the store."""

    def begin_checks(
        self, project_ids: Collection[ProjectId], *, fresh: timedelta, limit: timedelta
    ) -> list[Project]: ...
    def end_check(self, project_id: ProjectId, readiness: Readiness) -> None: ...


class NamedCheck:
    """The function that the setting `readiness_check` names. It is imported when it is first asked."""

    def __init__(self, target: str) -> None:
        self.name = target

    def __call__(self, project: Project) -> Readiness:
        return find_check(self.name)(project)


def find_check(target: str) -> ReadinessCheck:
    """Return the function that `module:function` names; raises what importing it raises."""
    module, _, function = target.partition(":")
    check: ReadinessCheck = getattr(import_module(module), function)
    return check


class _Look:
    """One check of one project on a thread of its own, which nobody has to wait for."""

    def __init__(self, check: ReadinessCheck, project: Project) -> None:
        self._name = _name(check)
        self._found: Readiness | None = None
        self._thread = threading.Thread(target=self._run, args=(check, project), daemon=True, name=self._name)
        self._thread.start()

    @property
    def is_under_way(self) -> bool:
        return self._thread.is_alive()

    def wait(self, deadline: float, patience: float) -> Readiness:
        """Return what the check found; an issue when it takes longer: a `patience` of seconds, till the `deadline`."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._found is not None:
            return self._found
        how = f"has not answered within {patience:g} s" if self.is_under_way else "ended without an answer"
        return Readiness(ok=False, issues=(f"The readiness check {self._name} {how}.",))

    def _run(self, check: ReadinessCheck, project: Project) -> None:
        try:
            found: object = check(project)
        except Exception as error:
            log.warning("a readiness check raised", check=self._name, project=project.id, exc_info=error)
            text = f"{type(error).__name__}: {error}".rstrip(".")
            self._found = Readiness(ok=False, issues=(f"The readiness check {self._name} raised {text}.",))
            return
        if isinstance(found, Readiness):
            self._found = found
        else:
            issue = f"The readiness check {self._name} returned {type(found).__name__}, not a Readiness."
            self._found = Readiness(ok=False, issues=(issue,))


class ReadinessChecker:
    """Runs the checks of projects whose last look is old. `seconds`: those of the monotonic clock that it may take."""

    def __init__(
        self, records: Callable[[], ReadinessRecords], checks: Sequence[ReadinessCheck], seconds: float = PATIENCE
    ) -> None:
        self._records = records
        self._checks = tuple(checks)
        self._seconds = seconds
        self._hanging: dict[tuple[ProjectId, int], _Look] = {}

    @property
    def has_checks(self) -> bool:
        return bool(self._checks)

    def refresh(self, project_ids: Collection[ProjectId]) -> bool:
        """Look at the projects that nobody else is looking at, and keep what was found; tell whether there were any."""
        if not project_ids:
            return False
        records = self._records()
        mine = records.begin_checks(project_ids, fresh=FRESH, limit=_GIVEN_UP)
        for project_id, readiness in self._look(mine).items():
            records.end_check(project_id, readiness)
        return bool(mine)

    def _look(self, projects: Sequence[Project]) -> Mapping[ProjectId, Readiness]:
        deadline = time.monotonic() + self._seconds
        looks = {project.id: self._begin(project) for project in projects}
        return {
            project_id: merged(look.wait(deadline, self._seconds) for look in begun)
            for project_id, begun in looks.items()
        }

    def _begin(self, project: Project) -> list[_Look]:
        """Start the checks of a project; one that still hangs since the last time is not started again."""
        begun = []
        for number, check in enumerate(self._checks):
            last = self._hanging.get((project.id, number))
            look = last if last is not None and last.is_under_way else _Look(check, project)
            self._hanging[project.id, number] = look
            begun.append(look)
        return begun


def _name(check: ReadinessCheck) -> str:
    return str(getattr(check, "name", None) or getattr(check, "__name__", None) or type(check).__name__)
