"""Task events in batches: Flower hears of tasks a quarter of a second later, and a worker is spared most publishes.

Celery publishes the events of a worker whenever its loop comes round, so a worker that is not overrun publishes each
on its own: the three events of a short task then cost its main process as much as the task's message.
"""

from typing import Any

from celery import bootsteps
from celery.worker.consumer.events import Events
from kombu.common import ignore_errors

DELAY = 0.25
"""Seconds that an event waits for others at most."""


class SendEventsInBatches(bootsteps.StartStopStep):
    """A step of Celery's consumer, done again with each connection, as is the dispatcher of events."""

    requires = (Events,)

    def start(self, c: Any) -> None:
        if c.hub is None or not c.event_dispatcher.enabled:
            return
        waiting = False

        def publish() -> None:
            nonlocal waiting
            waiting = False
            if c.event_dispatcher is not None:
                c.event_dispatcher.flush()

        def publish_soon() -> None:
            nonlocal waiting
            if not waiting:
                waiting = True
                c.hub.call_later(DELAY, publish)

        c.event_dispatcher.on_send_buffered = publish_soon

    def stop(self, c: Any) -> None:
        """Publish what waits before the connection is given up; where that is gone, the next one takes it along."""
        if c.event_dispatcher is not None:
            ignore_errors(c, c.event_dispatcher.flush)  # type: ignore[no-untyped-call]
