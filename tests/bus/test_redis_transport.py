"""Our transport for Redis and Valkey: kombu's, with one client a channel."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu.transport.virtual import QoS

from dispatch.bus.celery import make_app, make_plain_app
from dispatch.bus.redis_transport import Channel
from dispatch.settings import Settings


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    app = make_app(settings, settings.broker_url, settings.broker_url)
    yield app
    app.close()


def test_a_channel_keeps_its_client_as_long_as_its_pool(app: Celery) -> None:
    with app.connection() as connection:
        channel: Any = connection.default_channel
        assert isinstance(channel, Channel)
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
            assert first.ping()
        channel._pool = channel._get_pool()
        with channel.conn_or_acquire() as third:
            assert third is not first
            assert third.ping()


def test_what_is_taken_is_noted_in_the_worker_alone(app: Celery, settings: Settings) -> None:
    """The database hands over again what a killed worker had taken."""
    with app.connection() as connection, connection.SimpleQueue("box") as box:
        box.put("one")
        message = box.get(timeout=10)
        channel: Any = box.channel
        assert type(channel.qos) is QoS
        assert not channel.client.exists("unacked")
        message.requeue()
        again = box.get(timeout=10)
        assert again.payload == "one"
        again.ack()
    assert "ack_emulation" not in make_plain_app(settings, settings.broker_url, "").conf.broker_transport_options
