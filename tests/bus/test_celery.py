"""What publishing over Celery leaves in the process that publishes: nothing, however long it goes on."""

import gc
import uuid
from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from dispatch.bus.celery import CeleryBus, make_app
from dispatch.models.identity import ProjectId
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
