"""Work in this process, without a broker: one bead in the foreground, or a whole deployment (`dispatch_mode`)."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dispatch.cli.explaining import Explainer
from dispatch.dispatcher.choosing import QA, choose
from dispatch.models.bead import Bead
from dispatch.models.dispatching import Candidate, Handover, Lane, Plan
from dispatch.models.identity import BeadKey, RunId
from dispatch.models.messages import AgentEvent
from dispatch.models.outcome import Outcome
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.models.states import BeadStatus
from dispatch.routing import bead_timeout, role_of_persona
from dispatch.settings import Landing, Settings, normal_name
from dispatch.wiring import System
from workers.host_keeping import END_PATIENCE, host_keeper
from workers.local_worker import LocalWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class ForegroundReport:
    """What came of running one bead: `reason` says why it went where it went, or why it did not go.

    `status` is the bead's. `outcome` is None when it was not dispatched, or its run never started. A Ctrl-C makes it
    cancelled, with the cause `handback`.
    """

    dispatched: bool
    reason: str
    run_id: RunId | None = None
    outcome: Outcome | None = None
    status: str
    landed: bool = False


def run_bead(
    system: System,
    key: BeadKey,
    *,
    runner: str | None = None,
    on_event: Callable[[AgentEvent], None] | None = None,
) -> ForegroundReport:
    """Run one bead here and now, settle it and land its work. Ctrl-C hands it back, its work so far committed.

    `runner` is used whatever the bead's role names; `on_event` is called from another thread. Raises `NotFoundError`
    for an unknown bead or runner, `ConfigurationError` when its role has no runner.
    """
    bead = system.store.reading.bead(key)
    if bead.workflow:
        system.workflows.tend()
        bead = system.store.reading.bead(key)
    role = role_of(bead, system.settings)
    with LocalWorker(system, roles=[role], agents=1, serves=False, runner=runner, watch=on_event) as worker:
        worker.registry.choose(role, bead, runner)
        handover, reason = _claim(worker.system, bead, role)
        if handover is not None:
            _carry_out(worker, handover)
    if handover is None:
        return ForegroundReport(dispatched=False, reason=reason, status=system.store.reading.bead(key).status)
    return _report(worker.system, key, handover)


def role_of(bead: Bead, settings: Settings) -> str:
    """Return the role a bead runs in here: the one it asks for, the project's default, or else any that has runners.

    A bug that nothing sorts is QA's before it is the default role's.
    """
    if bead.wanted_role:
        return settings.resolve_role(bead.wanted_role)
    wanted = [QA] if bead.role_hint == UNCLEAR_BUG else []
    default = settings.project(bead.project_id).default_role
    named = [role_of_persona(normal_name(name), settings) for name in (*wanted, default)]
    return next((name for name in (*named, *settings.roles) if settings.role(name).runners), named[-1])


def _claim(system: System, bead: Bead, role: str) -> tuple[Handover | None, str]:
    """Claim exactly this bead; without a handover the text says why it cannot go."""
    lane = Lane(project_id=bead.project_id, hint=bead.role_hint, role=role, limit=1)
    candidate = Candidate(bead=bead, lane=lane, timeout=_timeout(bead))
    with system.store.dispatching.round() as round_:
        supply = round_.supply(bead.project_id)
        paused = supply.paused or any(project.paused for project in supply.projects)
        plan = Plan(placements=(), refusals=()) if paused else choose([candidate], supply, system.settings)
        handovers = round_.claim(plan.placements)
    if handovers:
        return handovers[0], handovers[0].reason
    if plan.refusals:
        return None, plan.refusals[0].reason
    return None, Explainer(system.store, system.settings).why(system.store.reading.bead(bead.key))


def _timeout(bead: Bead) -> timedelta | None:
    try:
        return bead_timeout(bead.metadata)
    except ValueError:  # the import said so; the defaults hold
        return None


def _carry_out(worker: LocalWorker, handover: Handover) -> None:
    """Run a claimed bead to its end. The first Ctrl-C hands back; a second one does not wait for that."""
    worker.system.dispatcher.hand_over([handover])
    try:
        worker.drain()
    except KeyboardInterrupt:
        worker.hand_back()
        worker.drain()


def _report(system: System, key: BeadKey, handover: Handover) -> ForegroundReport:
    run = system.store.settling.find_run(handover.run_ids[0])
    bead = system.store.reading.bead(key)
    lands = system.settings.project(key.project_id).landing is not Landing.NONE
    return ForegroundReport(
        dispatched=True,
        reason=handover.reason,
        run_id=handover.run_ids[0],
        outcome=run.outcome if run is not None else None,
        status=bead.status,
        landed=lands and bead.status == BeadStatus.CLOSED and bead.head_sha is not None,
    )


def serve_locally(system: System, *, roles: Sequence[str], agents: int, stop: threading.Event) -> None:
    """Serve a deployment from this process until `stop` is set: ticks, runs, settles and lands, without a broker.

    Raises what the database raises when it is away at the start; later it is tried again.
    """
    keeper = host_keeper(lambda: system, at_once=True)
    keeper.begin()
    try:
        while not stop.is_set():
            with LocalWorker(system, roles=roles, agents=agents, serves=True) as worker:
                worker.serve(stop)
    finally:
        keeper.end(END_PATIENCE)
