"""Celery's signals: a worker joins the swarm when it is ready, hands back when it is told to end, and leaves."""

import atexit
import os
import socket
import sys
from typing import Any

import structlog
from celery import signals

from dispatch.bus.reaching import is_refusal, require_broker, require_result_backend
from dispatch.errors import UnavailableError
from dispatch.models.agent import Incarnation
from dispatch.models.identity import IncarnationId
from dispatch.models.queues import ROLE_QUEUE_PREFIX
from dispatch.version import VERSION
from workers.host_keeping import END_PATIENCE, host_keeper
from workers.membership import Membership
from workers.process import deployment, identity, system
from workers.rounds import Rounds

log = structlog.get_logger(__name__)

_members: list[Membership] = []
_keepers: list[Rounds] = []


@signals.worker_init.connect
@signals.beat_init.connect
def meet_the_servers(**_: Any) -> None:
    """End with one sentence when broker or result backend refuses us. For one that is away Celery waits by itself."""
    addresses, app = deployment().addresses, deployment().app
    try:
        require_broker(app, addresses.broker_url)
        require_result_backend(app, addresses.result_backend_url)
    except UnavailableError as error:
        if is_refusal(error):
            sys.stderr.write(f"dispatch: {error}\n")
            raise SystemExit(error.exit_code) from error
        log.warning("a server is away", cause=str(error))


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
    atexit.register(leave_at_exit, os.getpid())
    # What the runs of a worker that died here left is collected at once, where agents work.
    keeper = host_keeper(system, at_once=bool(describe(identity.incarnation_id).agents))
    _keepers.append(keeper)
    keeper.begin()


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
    for keeper in _keepers:
        keeper.end(END_PATIENCE)


def leave_at_exit(worker_pid: int) -> None:
    """End the membership after a cold shutdown, too, of which Celery sends no signal when it has ended the tasks."""
    if os.getpid() == worker_pid:
        leave()
