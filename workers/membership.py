"""A worker's membership in the swarm: registers when it is ready, heartbeats, hands back, leaves. Celery's signals."""

import os
import socket
import threading
from typing import Any

import structlog
from celery import signals

from dispatch.bus.celery import ROLE_QUEUE_PREFIX
from dispatch.models.agent import Incarnation
from dispatch.version import VERSION
from workers.process import identity, system

log = structlog.get_logger(__name__)


class Membership:
    """Keeps one worker registered from a thread of its main process."""

    def __init__(self, node: str, queues: tuple[str, ...], concurrency: int, pool: str) -> None:
        self._node = node
        self._queues = queues
        self._concurrency = concurrency
        self._pool = pool
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="dispatch-membership", daemon=True)

    def begin(self) -> None:
        """Register, then keep the registration fresh in the background."""
        system().store.swarm.register(self._incarnation())
        system().results.nudge()
        self._thread.start()

    def hand_back(self) -> None:
        """Take nothing new, and ask running agents to hand back. Called from a signal handler: it returns at once."""
        identity.stop()
        threading.Thread(target=self._stop_taking, name="dispatch-handback", daemon=True).start()

    def end(self) -> None:
        """Leave the swarm."""
        self._ended.set()
        self._thread.join(timeout=5)
        system().store.swarm.leave(identity.incarnation_id)

    def _stop_taking(self) -> None:
        try:
            system().store.swarm.stop_taking(identity.incarnation_id)
        except Exception as error:  # noqa: BLE001 - the lease ends what this could not; shutdown goes on
            log.warning("the handback could not be announced", cause=repr(error))

    def _keep(self) -> None:
        interval = system().settings.dispatch.heartbeat.total_seconds()
        while not self._ended.wait(interval):
            try:
                self._beat()
            except Exception as error:  # noqa: BLE001 - a database that is away must not end the heartbeat
                log.warning("a heartbeat did not reach the database", cause=repr(error))

    def _beat(self) -> None:
        swarm = system().store.swarm
        if not swarm.heartbeat(identity.incarnation_id) and not identity.stopping:
            identity.renew()
            swarm.register(self._incarnation())
            log.warning("this worker had been taken for gone and registered anew", worker=self._node)

    def _incarnation(self) -> Incarnation:
        roles = tuple(
            queue.removeprefix(ROLE_QUEUE_PREFIX) for queue in self._queues if queue.startswith(ROLE_QUEUE_PREFIX)
        )
        return Incarnation(
            id=identity.incarnation_id,
            node=self._node,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=VERSION,
            queues=self._queues,
            roles=roles,
            agents=self._concurrency if roles else 0,
            pool=self._pool,
        )


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
    """Register the worker once it consumes its queues."""
    worker = sender.controller
    queues = tuple(sorted(sender.app.amqp.queues.consume_from))
    pool = worker.pool_cls.__module__.rpartition(".")[2]
    membership = Membership(worker.hostname, queues, worker.concurrency, pool)
    _members.append(membership)
    membership.begin()


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
