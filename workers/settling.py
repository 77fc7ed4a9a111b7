"""What follows a run's end and touches git: the bead's branch, landing, worktrees to collect. The same on every bus."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from dispatch.errors import DispatchError
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadKey, ProjectId, RunId
from dispatch.models.landing import LandingResult, NotNow
from dispatch.models.run import Run
from dispatch.models.settling import Settled
from dispatch.models.states import OPEN_RUN_STATES
from dispatch.wiring import System
from dispatch.workspaces import collect_scratch, land
from dispatch.workspaces.processes import Finished

POSTPONE = timedelta(seconds=30)
"""How long a landing waits when something is in its way that is not the work's fault."""

log = structlog.get_logger(__name__)


def settle_run(system: System, run_id: RunId) -> Settled | None:
    """Settle a run, let its bead's branch follow and the dispatch go on. None: there was nothing to settle."""
    settled = system.results.try_settle(run_id)
    if settled is None:
        return None
    if settled.effect is not None and settled.effect.head_sha is not None:
        follow_branch(system, settled.run.bead_key, settled.effect.head_sha)
    system.results.go_on_after(settled)
    return settled


def follow_branch(system: System, key: BeadKey, head_sha: str) -> bool:
    """Move `bead/<id>` to the accepted work. It only follows `head_sha`: where that fails housekeeping does it."""
    try:
        return system.worktrees.set_branch(key.project_id, key.bead_id, head_sha)
    except Exception as error:  # noqa: BLE001 - the bead is settled, which this must not make look otherwise
        log.warning("the bead's branch did not follow", bead=str(key), cause=repr(error))
        return False


def land_project(system: System, project_id: ProjectId) -> int:
    """Land everything that waits in a project, unless somebody else is at it; return how many beads were decided on.

    Whoever holds the turn looks again after giving it back, so that nothing that came last moment is left lying.
    """
    decided = 0
    number = system.store.projects.get(project_id).number
    while system.store.landings.next(project_id) is not None:
        with system.store.landings.turn(number) as mine:
            if not mine:
                break
            while (bead := system.store.landings.next(project_id)) is not None:
                decided += _land_bead(system, bead)
    return decided


def _land_bead(system: System, bead: Bead) -> bool:
    result = _try_landing(system, bead)
    if isinstance(result, NotNow):
        system.store.landings.postpone(bead.key, result.reason, POSTPONE)
        log.info("a landing waits", bead=str(bead.key), reason=result.reason)
        return False
    try:
        system.results.landed(bead, result)
    except Exception as error:
        log.exception("what a landing came to could not be written", bead=str(bead.key))
        reason = f"What its landing came to could not be written ({type(error).__name__}); it is tried again."
        system.store.landings.postpone(bead.key, reason, POSTPONE)
        return False
    return True


def _try_landing(system: System, bead: Bead) -> LandingResult:
    settings = system.settings
    timeout = settings.task_timeout(bead.project_id, "").total_seconds()
    if bead.head_sha is None:
        return NotNow(f"{bead.key} waits to land but has no commit; give it back with `dispatch adopt`.")
    try:
        return land(
            system.repository(bead.project_id),
            bead.head_sha,
            root=system.worktrees_directory,
            test_command=settings.project(bead.project_id).test_command,
            timeout=timeout,
            run_tests=_in_container(system, bead.project_id, timeout),
        )
    except DispatchError as error:
        return NotNow(f"Landing is not possible: {error}")
    except Exception as error:
        log.exception("a landing broke", bead=str(bead.key))
        return NotNow(f"Landing broke ({type(error).__name__}: {error}); it is tried again, and the log has more.")


def _in_container(system: System, project_id: ProjectId, timeout: float) -> Callable[[Path], Finished] | None:
    """Return what runs a project's tests in a container, when it has an image to make one from."""
    if not system.containers.has_image(project_id):
        return None
    command = system.settings.project(project_id).test_command
    return lambda worktree: system.containers.run(project_id, worktree, command, timeout=timeout)


def collect_worktrees(system: System) -> int:
    """Remove the worktrees of runs that have ended, keeping what they hold as commits; return how many.

    The containers of such runs go first: nothing may write to what is being kept.

    A run's ref is deleted with its worktree, so each bead's branch is made to follow first: what the sweep settled,
    or what could not be followed at the time, is held by that ref alone.
    """

    def keep(run_id: RunId) -> bool:
        run = system.store.settling.find_run(run_id)
        if run is None:
            return False
        return run.state in OPEN_RUN_STATES or not _is_held(system, run)

    _collect_containers(system)
    scratch = collect_scratch(system.worktrees_directory, keep)
    return len(system.worktrees.collect(keep)) + len(scratch)


def _collect_containers(system: System) -> None:
    """Remove the containers that crashed workers of this host left. An engine that is away keeps nothing else back."""
    if not system.containers.is_used:
        return

    def keep(run_id: RunId) -> bool:
        run = system.store.settling.find_run(run_id)
        return run is not None and run.state in OPEN_RUN_STATES

    try:
        for container_id in system.containers.collect(keep):
            log.warning("removed a container that a dead worker left", container=container_id[:12])
    except DispatchError as error:
        log.warning("containers were not collected", cause=str(error))


def _is_held(system: System, run: Run) -> bool:
    """Tell whether the accepted work of a run's bead is held by its branch; make that so where it is not."""
    bead = system.store.settling.find_bead(run.bead_key)
    if bead is None or bead.head_sha is None or run.commit_sha is None:
        return True
    return follow_branch(system, bead.key, bead.head_sha)
