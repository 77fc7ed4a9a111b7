"""What follows a run's end and touches git: the bead's branch, landing. The same on every bus."""

from datetime import timedelta

import structlog

from dispatch.errors import DispatchError
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadKey, ProjectId, RunId
from dispatch.models.landing import AlreadyLanded, Landed, LandingResult, NotNow, Proposed
from dispatch.models.settling import Settled
from dispatch.settings import Landing
from dispatch.wiring import System
from dispatch.workspaces import Tests, branch_name, land, landing_of, local_repository
from workers.proposing import propose_bead

POSTPONE = timedelta(seconds=30)
"""How long a landing waits when something is in its way that is not the work's fault."""
LOOK_AGAIN = timedelta(seconds=60)
"""How long an open pull request is left alone before it is looked after again."""

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
    """Move `bead/<id>` to the accepted work. It only follows `head_sha`: where that fails housekeeping does it.

    A host that does not have the repository leaves that to those that do: making a clone may take long.
    """
    if local_repository(system.store.projects.get(key.project_id), system.settings) is None:
        return False
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
    if isinstance(result, NotNow | Proposed):
        reason, by = (result.reason, POSTPONE) if isinstance(result, NotNow) else (str(result.pull_request), LOOK_AGAIN)
        system.store.landings.postpone(bead.key, reason, by)
        log.info("a landing waits", bead=str(bead.key), reason=reason)
        return False
    try:
        system.results.landed(bead, result)
    except Exception as error:
        log.exception("what a landing came to could not be written", bead=str(bead.key))
        reason = f"What its landing came to could not be written ({type(error).__name__}); it is tried again."
        system.store.landings.postpone(bead.key, reason, POSTPONE)
        return False
    if isinstance(result, Landed | AlreadyLanded):
        _drop_branch(system, bead)
    return True


def _drop_branch(system: System, bead: Bead) -> None:
    """Let the branch of work that landed go from where hosts share it; those of pull requests stay."""
    if bead.head_sha is None or landing_of(system.store.projects.get(bead.project_id), system.settings) is Landing.PR:
        return
    try:
        system.worktrees.drop_shared_branch(bead.project_id, bead.id, bead.head_sha)
    except DispatchError as error:
        log.warning("a branch that landed was not deleted on the remote", bead=str(bead.key), cause=str(error))


def _try_landing(system: System, bead: Bead) -> LandingResult:
    if bead.head_sha is None:
        return NotNow(f"{bead.key} waits to land but has no commit; give it back with `dispatch adopt`.")
    try:
        if landing_of(system.store.projects.get(bead.project_id), system.settings) is Landing.PR:
            return propose_bead(system, bead, tests_of(system, bead.project_id))
        return land(
            system.repository(bead.project_id),
            bead.head_sha,
            root=system.worktrees_directory,
            tests=tests_of(system, bead.project_id),
            branch=branch_name(bead.id),
        )
    except DispatchError as error:
        return NotNow(f"Landing is not possible: {error}")
    except Exception as error:
        log.exception("a landing broke", bead=str(bead.key))
        return NotNow(f"Landing broke ({type(error).__name__}: {error}); it is tried again, and the log has more.")


def tests_of(system: System, project_id: ProjectId) -> Tests:
    """Return how the tests of a project run on work that is to land: in its image, if it has one."""
    settings, containers = system.settings, system.containers
    limit = settings.test_timeout(project_id).total_seconds()
    command = settings.project(project_id).test_command
    if not containers.has_image(project_id):
        return Tests(command, limit)
    return Tests(command, limit, lambda argv, place, timeout: containers.run(project_id, place, argv, timeout=timeout))
