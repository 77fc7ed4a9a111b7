"""What a human wants of work under way, by command line, web or API: checked against what there is, then done.

Where a bead waits for a decision, to try it again or to give it to another role is to make that decision.
"""

from dataclasses import dataclass
from datetime import datetime

from dispatch import deciding
from dispatch.deciding import Answer
from dispatch.errors import RefusedError, TickBusyError
from dispatch.models.bead import Bead
from dispatch.models.decision import DECISION_TYPE, Decision, Option, RulingEffect
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.run import NOTHING_STOPPED, StoppedRuns
from dispatch.settings import Settings
from dispatch.store import Store

_LOCK_TRIES = 5
"""How often a stop tries to become the only tick, 2 s each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WentOn:
    """A bead that was let go on now. `decision` was made by it, `stopped` are its runs that were ended for it, `role`
    is that it was given to, and `note` is worth knowing.
    """

    bead: BeadKey
    decision: Decision | None = None
    stopped: StoppedRuns = NOTHING_STOPPED
    role: str = ""
    note: str = ""


def cancel(store: Store, name: str, *, by: str, reason: str = "") -> tuple[BeadKey, StoppedRuns]:
    """End the runs of a bead and put it on hold; the caller nudges. Raises `NotFoundError`, and `RefusedError` when
    nothing of it is under way.
    """
    key = store.reading.resolve(name)
    return key, store.control.cancel(key, by=by, reason=reason.strip())


def retry(store: Store, settings: Settings, name: str, *, by: str, now: datetime) -> WentOn:
    """Let a bead go again at once: its hold, cooldown and failures are forgotten, and its runs so far no longer count.

    The caller nudges. Raises `NotFoundError`, and `RefusedError` for a bead that is done, under way, or waits for a
    decision of another kind.
    """
    bead = _work(store, name)
    decision = _decided(store, settings, bead, Answer(option=Option.RETRY, by=by), now)
    if decision is not None:
        return WentOn(bead=bead.key, decision=decision)
    store.control.let_go_on(bead.key, RulingEffect(renews_limit=True), by=by)
    return WentOn(bead=bead.key)


def reassign(
    store: Store, settings: Settings, name: str, role: str, *, by: str, now: datetime, cancel: bool = False
) -> WentOn:
    """Give a bead to a role until its tracker asks for another one, and let it go on; the caller nudges.

    With `cancel` its runs are ended first. Raises what `retry` does, and `UsageError` for a role that is not known.
    """
    bead = _work(store, name)
    resolved, note = deciding.named_role(store, settings, role)
    decision = _decided(store, settings, bead, Answer(option=Option.REASSIGN, by=by, role=role), now)
    if decision is not None:
        return WentOn(bead=bead.key, decision=decision, role=resolved, note=note)
    effect = RulingEffect(renews_limit=True, role=resolved)
    stopped = store.control.let_go_on(bead.key, effect, by=by, cancel=cancel)
    return WentOn(bead=bead.key, stopped=stopped, role=resolved, note=note)


def stop(store: Store, project_id: ProjectId | None, *, by: str, now: bool) -> StoppedRuns:
    """Pause a project, or everything, and take back what has not started; `now`: running agents are to stop, too.

    When this returns no run begins any more; those that run are still to end. Raises `NotFoundError`.
    """
    told = f"Stopped by {by}."
    _hold_back(store, project_id, told)
    projects = [project_id] if project_id is not None else [project.id for project in store.projects.all()]
    return sum((store.control.end_runs(one, told, running=now) for one in projects), start=NOTHING_STOPPED)


def _hold_back(store: Store, project_id: ProjectId | None, told: str) -> None:
    for _ in range(_LOCK_TRIES - 1):
        try:
            return store.control.hold_back(project_id, told)
        except TickBusyError:
            continue
    return store.control.hold_back(project_id, told)


def _work(store: Store, name: str) -> Bead:
    """Return the bead that is meant, unless it is a decision."""
    bead = store.reading.bead(store.reading.resolve(name))
    if bead.issue_type == DECISION_TYPE:
        raise RefusedError(problem=f"{bead.key} is a decision, no work", cure=f"`dispatch inbox {bead.key}` says more.")
    return bead


def _decided(store: Store, settings: Settings, bead: Bead, answer: Answer, now: datetime) -> Decision | None:
    """Make the open decision about a bead by an answer, and return it; None: it waits for none.

    Raises `RefusedError` when that decision cannot be made like this.
    """
    decision = store.decisions.open_about(bead.key)
    if decision is None or bead.is_done:
        return None
    if answer.option not in decision.offer.options:
        options = ", ".join(decision.offer.options)
        raise RefusedError(
            problem=f"{bead.key} waits for a decision that has no option {answer.option}, but {options}",
            cure=f"`dispatch inbox {bead.key}` says what to type for each.",
        )
    return deciding.decide(store, settings, str(decision.key), answer, now=now).decision
