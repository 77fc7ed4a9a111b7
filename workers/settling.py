"""What follows a run's end and touches git: the bead's branch, landing, worktrees to collect. The same on every bus."""

from datetime import timedelta

import structlog

from dispatch.errors import DispatchError
from dispatch.models.bead import Bead
from dispatch.models.identity import ProjectId, RunId
from dispatch.models.landing import LandingResult, NotNow
from dispatch.models.settling import Settled
from dispatch.models.states import OPEN_RUN_STATES
from dispatch.wiring import System
from dispatch.workspaces import land

POSTPONE = timedelta(seconds=30)
"""How long a landing waits when something is in its way that is not the work's fault."""

log = structlog.get_logger(__name__)


def settle_run(system: System, run_id: RunId) -> Settled | None:
    """Settle a run and let its bead's branch follow. None: there was nothing to settle."""
    settled = system.results.try_settle(run_id)
    if settled is not None and settled.effect is not None and settled.effect.head_sha is not None:
        follow_branch(system, settled.run.project_id, settled)
    return settled


def follow_branch(system: System, project_id: ProjectId, settled: Settled) -> None:
    """Move `bead/<id>` to the accepted work. It only follows `head_sha`: failing here loses nothing."""
    assert settled.effect is not None, "the caller looked"
    assert settled.effect.head_sha is not None, "the caller looked"
    try:
        system.worktrees.set_branch(project_id, settled.run.bead_id, settled.effect.head_sha)
    except DispatchError as error:
        log.warning("the bead's branch did not follow", bead=str(settled.run.bead_key), cause=str(error))


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
    system.results.landed(bead, result)
    return True


def _try_landing(system: System, bead: Bead) -> LandingResult:
    settings = system.settings
    if bead.head_sha is None:
        return NotNow(f"{bead.key} waits to land but has no commit; give it back with `dispatch adopt`.")
    try:
        return land(
            system.repository(bead.project_id),
            bead.head_sha,
            root=system.worktrees_directory,
            test_command=settings.project(bead.project_id).test_command,
            timeout=settings.task_timeout(bead.project_id, "").total_seconds(),
        )
    except DispatchError as error:
        return NotNow(f"Landing is not possible: {error}")
    except Exception as error:
        log.exception("a landing broke", bead=str(bead.key))
        return NotNow(f"Landing broke ({type(error).__name__}: {error}); it is tried again, and the log has more.")


def collect_worktrees(system: System) -> int:
    """Remove the worktrees of runs that have ended, keeping what they hold as commits; return how many."""

    def is_open(run_id: RunId) -> bool:
        run = system.store.settling.find_run(run_id)
        return run is not None and run.state in OPEN_RUN_STATES

    return len(system.worktrees.collect(is_open))
