"""An agent worker takes only what it can start at once: nothing may sit reserved behind a 30-minute run.

Celery fetches as many messages ahead as a worker has processes, and a message that was fetched is seen by no other
worker, however idle. On Redis a setting of Celery's own prevents that, for prefork. It has none for AMQP: there the
worker stops consuming while all its processes or threads are busy.
"""

from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker import state

from dispatch.models.queues import ROLE_QUEUE_PREFIX

_LOOK_SECONDS = 0.05


class TakeOnlyWhatRuns(bootsteps.StartStopStep):
    """A step of Celery's consumer, for workers that serve roles.

    On AMQP one message is fetched at a time, and acknowledged once the pool has it. With the one that fills the pool
    the consumer is cancelled, which is before that, so the broker has no moment to send another.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._cancelling = False

    def include_if(self, consumer: Any) -> bool:
        """Tell whether the worker has agents. On Redis those on threads do without: the setting made them slow."""
        serves_roles = any(name.startswith(ROLE_QUEUE_PREFIX) for name in consumer.app.amqp.queues.consume_from)
        return serves_roles and (_is_amqp(consumer) or type(consumer.pool).__module__ == "celery.concurrency.prefork")

    def create(self, consumer: Any) -> None:
        if not _is_amqp(consumer):
            consumer.app.conf.worker_disable_prefetch = True
            return
        consumer.initial_prefetch_count = 1
        consumer.app.conf.worker_enable_prefetch_count_reduction = False
        make_handler = consumer.create_task_handler
        consumer.create_task_handler = lambda: self._guarded(consumer, make_handler())

    def stop(self, _consumer: Any) -> None:
        """Forget what concerned a connection that is lost."""
        self._end_watch()

    def _guarded(self, consumer: Any, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return the handler of messages with the guard around it."""

        def handle_or_put_back(message: Any) -> None:
            if _has_room(consumer):
                handle(message)
                if not _has_room(consumer):
                    self._pause(consumer)
            else:
                # Tasks from before a lost connection fill the pool, or it is of a second queue.
                self._pause(consumer)
                message.requeue()

        return handle_or_put_back

    def _pause(self, consumer: Any) -> None:
        """Stop consuming until there is room. To cancel waits for an answer, and meanwhile a message may come."""
        if self._timer is None:
            self._timer = consumer.timer.call_repeatedly(_LOOK_SECONDS, self._look, (consumer,))
        if not self._cancelling:
            self._cancelling = True
            try:
                consumer.task_consumer.cancel()
            finally:
                self._cancelling = False

    def _look(self, consumer: Any) -> None:
        if _has_room(consumer):
            self._end_watch()
            consumer.task_consumer.consume()

    def _end_watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _is_amqp(consumer: Any) -> bool:
    return bool(consumer.conninfo.transport.driver_type == "amqp")


def _has_room(consumer: Any) -> bool:
    free: bool = len(state.reserved_requests) < consumer.pool.num_processes
    return free
