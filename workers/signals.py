"""Celery's signals: a worker joins the swarm when it is ready, hands back when it is told to end, and leaves."""

import os
import socket
import threading
from typing import Any

import structlog
from celery import signals

from dispatch.models.agent import Incarnation
from dispatch.models.identity import IncarnationId
from dispatch.models.queues import ROLE_QUEUE_PREFIX
from dispatch.version import VERSION
from workers.membership import Membership
from workers.process import identity, system
from workers.settling import collect_worktrees

log = structlog.get_logger(__name__)

_members: list[Membership] = []


@signals.celeryd_init.connect
def take_only_what_runs(conf: Any, options: dict[str, Any], **_: Any) -> None:
    """Let nothing sit reserved behind a 30-minute run: prefork agent workers fetch only what a free process takes."""
    queues = options.get("queues") or ()
    names = queues.split(",") if isinstance(queues, str) else list(queues)
    serves_roles = any(name.startswith(ROLE_QUEUE_PREFIX) for name in names)
    if serves_roles and "prefork" in str(options.get("pool_cls", "prefork")):
        conf.worker_disable_prefetch = True


@signals.worker_ready.connect
def join(sender: Any, **_: Any) -> None:
    """Register the worker once it consumes its queues; it handles no message before this returns."""
    worker = sender.controller
    queues = tuple(sorted(sender.app.amqp.queues.consume_from))
    pool = worker.pool_cls.__module__.rpartition(".")[2]

    def describe(incarnation_id: IncarnationId) -> Incarnation:
        return describe_worker(incarnation_id, worker.hostname, queues, worker.concurrency, pool)

    membership = Membership(system, identity, describe)
    _members.append(membership)
    membership.begin()
    if describe(identity.incarnation_id).agents:
        threading.Thread(target=clear_away, name="dispatch-clear-away", daemon=True).start()


def clear_away() -> None:
    """Collect what the runs of a worker that died here left: housekeeping runs on the settler's host only."""
    try:
        collect_worktrees(system())
    except Exception as error:  # noqa: BLE001 - it must not keep the worker from its work; the next start tries again
        log.warning("worktrees were not collected", cause=repr(error))


def describe_worker(
    incarnation_id: IncarnationId, node: str, queues: tuple[str, ...], concurrency: int, pool: str
) -> Incarnation:
    """Say what a worker is: its roles are those of its queues, and without any it has no agents."""
    roles = tuple(queue.removeprefix(ROLE_QUEUE_PREFIX) for queue in queues if queue.startswith(ROLE_QUEUE_PREFIX))
    return Incarnation(
        id=incarnation_id,
        node=node,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=VERSION,
        queues=queues,
        roles=roles,
        agents=concurrency if roles else 0,
        pool=pool,
    )


@signals.worker_shutting_down.connect
def hand_back(**_: Any) -> None:
    """Begin the worker's shutdown."""
    for membership in _members:
        membership.hand_back()


@signals.worker_shutdown.connect
def leave(**_: Any) -> None:
    """End the membership when the worker has ended its tasks."""
    for membership in _members:
        membership.end()
