"""What publishing over Celery leaves in the process that publishes: nothing, however long it goes on."""

import base64
import gc
import json
import uuid
from collections.abc import Iterator

import pytest
from celery.app.task import Context
from celery.result import AsyncResult
from celery.states import SUCCESS

from dispatch.bus.celery import CeleryBus, make_app
from dispatch.models.identity import ProjectId, RunId
from dispatch.models.messages import TaskMessage
from dispatch.settings import Settings


def order() -> TaskMessage:
    return TaskMessage(
        run_id=uuid.uuid4(),
        step_id=uuid.uuid4(),
        project_id="shop",
        bead_id="shop-1",
        role="dev",
        attempt=1,
        timeout_seconds=60,
    )


@pytest.fixture
def bus(settings: Settings) -> Iterator[CeleryBus]:
    bus = CeleryBus(make_app(settings, settings.broker_url, settings.broker_url), settings)
    yield bus
    bus.close()


@pytest.mark.parametrize("size", [1, 3])
def test_nobody_waits_for_the_results_of_a_step(bus: CeleryBus, size: int) -> None:
    orders = [order() for _ in range(size)]
    bus.publish_step(ProjectId("shop"), orders)
    ids = {str(each.run_id) for each in orders}
    gc.collect()
    kept = [found.id for found in gc.get_objects() if isinstance(found, AsyncResult) and found.id in ids]
    assert kept == [], "a ticker would keep the result of every run that it ever handed over"
    assert not bus._app.backend.result_consumer.subscribed_to


@pytest.mark.parametrize(("publish", "told"), [("run", 1), ("settle", 0), ("nudge", 0), ("body", 0)])
def test_of_runs_alone_it_is_told_that_they_were_sent(bus: CeleryBus, publish: str, told: int) -> None:
    backend, last = bus._app.backend, order()
    with backend.client.pubsub() as events:
        events.psubscribe("*celeryev/task.sent")
        assert events.get_message(timeout=10)["type"] == "psubscribe"
        match publish:
            case "run":
                bus.publish_task(ProjectId("shop"), order())
            case "settle":
                bus.publish_settle(RunId(uuid.uuid4()))
            case "nudge":
                bus.publish_nudge()
            case "body":
                request = Context(chord=dict(bus._body(["1"])), group=None, id="1")
                backend.on_chord_part_return(request, SUCCESS, "1")
        bus.publish_task(ProjectId("shop"), last)
        sent: list[str] = []
        while str(last.run_id) not in sent:
            heard = events.get_message(timeout=10)
            assert heard is not None
            sent.append(json.loads(base64.b64decode(json.loads(heard["data"])["body"]))["uuid"])
    assert len(sent) == told + 1
