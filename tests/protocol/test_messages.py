"""What the messages on a real broker say, and how soon a broker that is not there is given up."""

import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dispatch.bus.celery import ERRBACK_TASK, RUN_TASK, SETTLE_TASK, CeleryBus, make_app
from dispatch.models.identity import ProjectId, RunId, uuid7
from dispatch.models.messages import TaskMessage
from dispatch.models.queues import CONTROL_QUEUE, LANDING_QUEUE, RESULTS_QUEUE, role_queue
from dispatch.settings import Settings

SHOP = ProjectId("shop")


def order(**fields: Any) -> TaskMessage:
    facts = {"run_id": uuid7(), "step_id": uuid.uuid4(), "project_id": SHOP, "bead_id": "shop-1", "role": "dev"}
    return TaskMessage(**{**facts, "attempt": 1, "timeout_seconds": 90, **fields})


class Mailbox:
    """A bus on the test's broker, and what lies in its queues."""

    def __init__(self, settings: Settings) -> None:
        self.app = make_app(settings, settings.broker_url, settings.broker_url)
        self.bus = CeleryBus(self.app, settings)

    def take(self, queue: str) -> list[Any]:
        """Take all messages of a queue."""
        found = []
        with self.app.connection() as connection, connection.SimpleQueue(self.app.amqp.queues[queue]) as box:
            while True:
                try:
                    message = box.get_nowait()
                except box.Empty:
                    return found
                message.ack()
                found.append(message)


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    mailbox = Mailbox(settings)
    yield mailbox
    mailbox.bus.close()


def test_a_run_is_sent_with_its_own_id_the_limits_behind_its_runners_and_no_expiry(mailbox: Mailbox) -> None:
    one = order()
    mailbox.bus.publish_task(SHOP, one)
    (message,) = mailbox.take(role_queue("dev"))
    assert message.headers["task"] == RUN_TASK
    assert message.headers["id"] == str(one.run_id)
    assert message.headers["timelimit"] == [90 + 60, 90 + 20]
    assert (message.headers["expires"], message.headers["eta"]) == (None, None)
    assert message.headers["ignore_result"], "nobody asks the result backend for it"
    assert TaskMessage.model_validate(message.payload[0][0]) == one


def test_the_body_of_a_step_wakes_the_settler_and_its_errback_knows_the_runs(mailbox: Mailbox) -> None:
    runs = [order(), order()]
    mailbox.bus.publish_step(SHOP, runs)
    messages = mailbox.take(role_queue("dev"))
    assert [message.headers["id"] for message in messages] == [str(run.run_id) for run in runs]
    assert len({message.headers["group"] for message in messages}) == 1
    for message in messages:
        body = message.payload[2]["chord"]
        assert (body["task"], body["options"]["queue"]) == (SETTLE_TASK, RESULTS_QUEUE)
        (errback,) = body["options"]["link_error"]
        assert (errback["task"], errback["options"]["queue"], errback["immutable"]) == (
            ERRBACK_TASK,
            RESULTS_QUEUE,
            True,
        )
        assert errback["args"] == [[str(run.run_id) for run in runs]]


@pytest.mark.parametrize("size", [1, 2])
def test_the_same_runs_published_again_belong_to_a_chord_of_their_own(mailbox: Mailbox, size: int) -> None:
    runs = [order() for _ in range(size)]
    for _ in range(2):
        mailbox.bus.publish_step(SHOP, runs)
    messages = mailbox.take(role_queue("dev"))
    ids = [message.headers["id"] for message in messages]
    assert ids[:size] == ids[size:]
    bodies = [message.payload[2]["chord"]["options"]["task_id"] for message in messages]
    groups = [message.headers["group"] for message in messages]
    assert (len(set(bodies)), len(set(groups))) == (2, 2 if size > 1 else 1)


def test_only_a_nudge_expires(mailbox: Mailbox) -> None:
    mailbox.bus.publish_nudge()
    mailbox.bus.publish_landing(SHOP)
    mailbox.bus.publish_settle(RunId(uuid7()))
    sent = [message for queue in (CONTROL_QUEUE, LANDING_QUEUE, RESULTS_QUEUE) for message in mailbox.take(queue)]
    assert [message.headers["expires"] is not None for message in sent] == [True, False, False]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("publish", ["publish_task", "publish_step", "publish_nudge"])
def test_a_broker_that_is_not_there_is_given_up_soon(settings: Settings, publish: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        bus = CeleryBus(make_app(settings, address, address), settings)
        began = time.monotonic()
        arguments: dict[str, list[Any]] = {
            "publish_task": [SHOP, order()],
            "publish_step": [SHOP, [order(), order()]],
            "publish_nudge": [],
        }
        with pytest.raises(Exception, match="refused"):
            getattr(bus, publish)(*arguments[publish])
        assert time.monotonic() - began < 10, "a tick has 20 seconds for everything"
        bus.close()
