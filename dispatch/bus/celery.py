"""The Celery bus: one chord a step, and the configuration that every Celery process of a deployment shares.

Each setting is here because something else was measured to fail; PROTOCOL and DESIGN say what.
"""

from collections.abc import Sequence
from typing import Any, Final

from celery import Celery
from celery.backends.redis import RedisBackend
from celery.canvas import maybe_signature
from celery.exceptions import ChordError
from celery.states import SUCCESS
from celery.utils import uuid

from dispatch.bus import redis_transport
from dispatch.bus.server_urls import celery_url, split_amqp_tls
from dispatch.models.identity import ProjectId, RunId
from dispatch.models.messages import TaskMessage
from dispatch.models.queues import CONTROL_QUEUE, LANDING_QUEUE, RESULTS_QUEUE, role_queue
from dispatch.settings import Settings
from dispatch.settings.addresses import is_amqp

RUN_TASK: Final = "workers.tasks.run"
SETTLE_TASK: Final = "workers.tasks.settle"
ERRBACK_TASK: Final = "workers.tasks.hurry"
TICK_TASK: Final = "workers.tasks.tick"
NUDGE_TASK: Final = "workers.tasks.nudge"
LAND_TASK: Final = "workers.tasks.land"
HOUSEKEEPING_TASK: Final = "workers.tasks.housekeeping"

NUDGE_EXPIRES: Final = 4.0
_RETRY: Final = {"max_retries": 3, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.5}
_RESULT_PATIENCE: Final = 5.0
"""Seconds after which a result backend that is away is given up: Celery's own 20 would be the whole time of a tick."""
_CONFIRM: Final = 3.0
"""Seconds that a publisher waits for RabbitMQ to say that it has a message: one with a full disk says nothing."""
_DELIVERY: Final[dict[str, Any]] = {"retry": True, "retry_policy": _RETRY, "confirm_timeout": _CONFIRM}
"""How long any publisher tries."""
_DAY: Final = 86_400


def make_app(settings: Settings, broker_url: str, result_backend_url: str) -> Celery:
    """Return a Celery application for a deployment; workers, beat, Flower and publishers all use one made here."""
    redis_transport.use()
    app = make_plain_app(settings, broker_url, result_backend_url)
    app.loader.override_backends = _BACKENDS
    if not is_amqp(broker_url):
        # What a worker took and had not begun when it was killed is handed over again from the database (PROTOCOL,
        # rule 7), long before Celery's hour is over: its books of that are four commands a message for nothing.
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, "ack_emulation": False}
    return app


def make_plain_app(settings: Settings, broker_url: str, result_backend_url: str) -> Celery:
    """Return an application with the same configuration and none of our classes: what benchmarks compare with."""
    broker_url, broker_tls = split_amqp_tls(celery_url(broker_url))
    result_backend_url = celery_url(result_backend_url)
    app = Celery("workers", broker=broker_url, backend=result_backend_url)
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_max_tasks_per_child=5_000,
        worker_max_memory_per_child=1_000_000,
        worker_send_task_events=True,
        task_send_sent_event=True,
        task_track_started=True,
        task_publish_retry_policy=_RETRY,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=30,
        broker_use_ssl=broker_tls,
        broker_transport_options=_transport_options(broker_url, settings.key_prefix),
        result_backend_transport_options={
            "global_keyprefix": f"{settings.key_prefix}:",
            "retry_policy": {"timeout": _RESULT_PATIENCE},
        },
        redis_socket_connect_timeout=5,
        redis_socket_timeout=30,
        redis_socket_keepalive=not is_unix_socket(result_backend_url),
        result_expires=_DAY,
        result_chord_ordered=False,
        task_routes={
            SETTLE_TASK: {"queue": RESULTS_QUEUE},
            ERRBACK_TASK: {"queue": RESULTS_QUEUE},
            HOUSEKEEPING_TASK: {"queue": RESULTS_QUEUE},
            TICK_TASK: {"queue": CONTROL_QUEUE},
            NUDGE_TASK: {"queue": CONTROL_QUEUE},
            LAND_TASK: {"queue": LANDING_QUEUE},
        },
        timezone="UTC",
        enable_utc=True,
        worker_hijack_root_logger=False,
    )
    return app


def is_unix_socket(url: str) -> bool:
    """Tell whether an address is a Unix socket: options of TCP are errors there."""
    return url.startswith(("redis+socket://", "socket://"))


def _transport_options(broker_url: str, key_prefix: str) -> dict[str, Any]:
    if is_amqp(broker_url):
        # A virtual host parts deployments there. Without confirms a message that the broker refused is lost in silence.
        return {"confirm_publish": True}
    options: dict[str, Any] = {"global_keyprefix": f"{key_prefix}:", "socket_timeout": 30}
    if not is_unix_socket(broker_url):
        options |= {"socket_connect_timeout": 5, "socket_keepalive": True}
    return options


class _Untold:
    """Tells nobody that a message was sent: Flower hears of wake-ups when a worker has them.

    Such an event costs as much as the message itself. A run's is told, since it is what shows where a run waits.
    """

    def publish(self, *_: Any, **__: Any) -> None:
        """Do without the event."""


_UNTOLD: Final = _Untold()


def _post(
    app: Celery, task: str, queue: str, args: tuple[Any, ...], *, task_id: str, told: bool = False, **fields: Any
) -> None:
    """Send one of the two messages that every bead takes, as `Celery.send_task` would.

    That looks up the route and the defaults of a task, declares the queue, and makes of the arguments a text that is
    cut where it is long, each time: two fifths of what sending costs. Only RabbitMQ has to be told of a queue.
    """
    amqp = app.amqp
    message = amqp.create_task_message(
        task_id, task, args, argsrepr=repr(args), kwargsrepr="{}", create_sent_event=told, ignore_result=True, **fields
    )
    with app.producer_or_acquire() as producer:
        amqp.send_task_message(
            producer,
            task,
            message,
            queue=queue,
            declare=None if is_amqp(app.conf.broker_url) else (),
            **_DELIVERY,
        )


class _NobodyWaits:
    """Results that are written and read, but not waited for: the database tells who is done.

    Celery subscribes to the result of each task of a chord that it publishes, and keeps it, in case somebody waits: a
    ticker would hold the results of all runs that it ever handed over, and a channel for each.
    """

    def add_pending_result(self, result: Any, **_: Any) -> Any:
        return result

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do without a subscription."""


class QuietRedis(_NobodyWaits, RedisBackend):
    """The result backend on Valkey or Redis."""

    def on_chord_part_return(self, request: Any, state: str, result: Any, **options: Any) -> None:
        """Go on to the body of a chord. One with a single header has no group: there is nothing to count or to keep.

        What fails here is made up for by the sweep, as for any body that is lost.
        """
        if request.group is not None:
            super().on_chord_part_return(request, state, result, **options)
            return
        if state == SUCCESS:
            options = request.chord["options"]
            _post(
                self.app,
                request.chord["task"],
                options["queue"],
                ([result],),
                task_id=options["task_id"],
                errbacks=options["link_error"],
                root_id=request.id,
                parent_id=request.id,
            )
        else:
            body = maybe_signature(request.chord, app=self.app)
            self.chord_error_from_stack(body, ChordError(f"{request.id} raised {result!r}"))


_BACKENDS: Final = {
    "redis": f"{__name__}:QuietRedis",
    "rediss": f"{__name__}:QuietRedis",
}


class CeleryBus:
    """Hands steps to workers through a broker."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._hard_grace = settings.dispatch.hard_grace.total_seconds()

    def publish_task(self, project_id: ProjectId, task: TaskMessage) -> None:
        """Hand over a step of one run to the queue of its role."""
        self.publish_step(project_id, [task])

    def publish_task_for_role(self, project_id: ProjectId, role: str, task: TaskMessage) -> None:
        """Hand over a step of one run to the queue of `role`, whatever role the task names."""
        self._publish([task], role)

    def publish_step(self, project_id: ProjectId, tasks: Sequence[TaskMessage]) -> None:
        """Hand over the runs of one step as one chord: a header for each, the result handler as its body."""
        self._publish(tasks, None)

    def _publish(self, tasks: Sequence[TaskMessage], role: str | None) -> None:
        """Publish a chord as Celery's canvas does, without its copies of signatures: they cost as much as the rest."""
        group: dict[str, Any] = {}
        if len(tasks) > 1:
            group["group_id"] = uuid()
            self._app.backend.set_chord_size(group["group_id"], len(tasks))
        body = self._body([str(task.run_id) for task in tasks])
        for index, task in enumerate(tasks):
            _post(
                self._app,
                RUN_TASK,
                role_queue(role or task.role),
                (task.model_dump(mode="json"),),
                task_id=str(task.run_id),
                told=True,
                soft_time_limit=task.timeout_seconds + self._hard_grace / 3,
                time_limit=task.timeout_seconds + self._hard_grace,
                chord=body,
                group_index=index,
                **group,
            )

    def _body(self, run_ids: list[str]) -> Any:
        """The wake-up of a settler, and what shortens the leases of the step's runs when a header raises."""
        errback = self._app.signature(ERRBACK_TASK, args=[run_ids], immutable=True)
        errback.set(queue=RESULTS_QUEUE, ignore_result=True)
        body = self._app.signature(SETTLE_TASK)
        return body.set(task_id=uuid(), queue=RESULTS_QUEUE, ignore_result=True, link_error=[errback])

    def close(self) -> None:
        """Close the connections to broker and result backend."""
        self._app.pool.force_close_all()
        if "client" in vars(self._app.backend):
            self._app.backend.client.connection_pool.disconnect()
        self._app.close()

    def publish_settle(self, run_id: RunId) -> None:
        """Ask for a reported run to be settled."""
        self._send(SETTLE_TASK, RESULTS_QUEUE, [[str(run_id)]])

    def publish_landing(self, project_id: ProjectId) -> None:
        """Ask for what waits to land in a project to be landed."""
        self._send(LAND_TASK, LANDING_QUEUE, [project_id])

    def publish_nudge(self) -> None:
        """Ask for a tick now; the wish is dropped when no ticker takes it in time, since beat's next one will do."""
        self._send(NUDGE_TASK, CONTROL_QUEUE, [], expires=NUDGE_EXPIRES)

    def _send(self, task: str, queue: str, args: Sequence[Any], **options: Any) -> None:
        self._app.send_task(
            task,
            args=args,
            queue=queue,
            event_dispatcher=_UNTOLD,
            ignore_result=True,
            **_DELIVERY,
            **options,
        )
