"""What ended runs left on this host: their worktrees go, their work stays where somebody finds it."""

from collections.abc import Callable

import structlog

from dispatch.errors import DispatchError
from dispatch.models.bead import Bead
from dispatch.models.identity import RunId
from dispatch.models.run import Run
from dispatch.models.states import OPEN_RUN_STATES, BeadStatus
from dispatch.wiring import System
from dispatch.workspaces import Fate
from workers.settling import follow_branch

log = structlog.get_logger(__name__)


def collect_worktrees(system: System) -> int:
    """Remove the worktrees of runs that have ended, keeping what they hold as commits; return how many.

    The containers of such runs go first: nothing may write to what is being kept.

    A run's ref goes when its work is held elsewhere: accepted work by its bead's branch, which is made to follow first.
    Work that was not accepted, as of a worker that died, waits while its bead may still be worked on. When the bead is
    done it goes to the bead's branch where that only moves it forward, else it is kept as `refs/dispatch/kept/<run>`.
    """

    def keep(run_id: RunId) -> bool:
        run = system.store.settling.find_run(run_id)
        return run is not None and run.state in OPEN_RUN_STATES

    _collect_containers(system, keep)
    scratch = system.scratch.collect(keep)
    return len(system.worktrees.collect(keep, lambda run_id, commit: fate_of(system, run_id, commit))) + len(scratch)


def _collect_containers(system: System, keep: Callable[[RunId], bool]) -> None:
    """Remove the containers that crashed workers of this host left. An engine that is away keeps nothing else back."""
    if not system.containers.is_used:
        return
    try:
        for container_id in system.containers.collect(keep):
            log.warning("removed a container that a dead worker left", container=container_id[:12])
    except DispatchError as error:
        log.warning("containers were not collected", cause=str(error))


def fate_of(system: System, run_id: RunId, commit: str) -> Fate:
    """Return what becomes of the commit that an ended run left."""
    run = system.store.settling.find_run(run_id)
    bead = system.store.settling.find_bead(run.bead_key) if run is not None else None
    if run is None or bead is None:
        return Fate.KEPT
    if not run.writes_branch:
        return Fate.HELD
    if _was_accepted(system, run, commit):
        return Fate.HELD if _is_held(system, bead) else Fate.WAITS
    if not bead.is_done:
        return Fate.WAITS
    return Fate.HELD if _is_put_on_branch(system, bead, commit) else Fate.KEPT


def _was_accepted(system: System, run: Run, commit: str) -> bool:
    """Tell whether a commit is part of what a run of the bead reported: its own, or one that went on from it."""
    if run.commit_sha == commit:
        return True
    reported = [other.commit_sha for other in system.store.reading.runs(bead=run.bead_key) if other.commit_sha]
    return any(system.worktrees.holds(run.project_id, newer, commit) for newer in dict.fromkeys(reported))


def _is_held(system: System, bead: Bead) -> bool:
    """Tell whether the accepted work of a bead has landed, or is on its branch, which is made to follow.

    Not on a remote where it may have been deleted, as it landed or its pull request was declined: it would come again.
    """
    if bead.head_sha is None:
        return True
    landed = bead.is_done and system.worktrees.is_landed(bead.project_id, bead.head_sha)
    if landed and system.settings.project(bead.project_id).url:
        return True
    if bead.status == BeadStatus.LANDING and system.store.pull_requests.find(bead.key) is not None:
        return False
    return follow_branch(system, bead.key, bead.head_sha) or landed


def _is_put_on_branch(system: System, bead: Bead, commit: str) -> bool:
    """Move the branch of a bead that is done forward to work that nobody accepted; False where that is not possible."""
    tip = system.worktrees.branch_tip(bead.project_id, bead.id)
    if tip is not None and system.worktrees.holds(bead.project_id, tip, commit):
        return True
    if tip is not None and not system.worktrees.holds(bead.project_id, commit, tip):
        return False
    try:
        return system.worktrees.set_branch(bead.project_id, bead.id, commit)
    except DispatchError:
        return False
