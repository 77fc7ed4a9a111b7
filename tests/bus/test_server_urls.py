"""What an address means to Celery: TLS verifies the server, whatever Celery would do by itself."""

import ssl

import pytest

from dispatch.bus.celery import make_app
from dispatch.bus.server_urls import celery_url, split_amqp_tls
from dispatch.settings import Settings


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("redis://host/0", "redis://host/0"),
        ("redis+socket:///path?virtual_host=0", "redis+socket:///path?virtual_host=0"),
        ("valkey://:secret@host:1/0", "redis://:secret@host:1/0"),
        ("valkey+socket:///path", "redis+socket:///path"),
        ("rediss://host/0", "rediss://host/0?ssl_cert_reqs=required"),
        ("valkeys://host/0?ssl_ca_certs=/ca", "rediss://host/0?ssl_ca_certs=/ca&ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
        ("amqps://host/vhost", "amqps://host/vhost"),
    ],
)
def test_an_address_in_celerys_schemes(written: str, read: str) -> None:
    assert celery_url(written) == read


def test_tls_of_rabbitmq_is_verified_unless_the_address_says_otherwise() -> None:
    url, tls = split_amqp_tls("amqps://me:secret@host:5671/vhost?ssl_ca_certs=%2Fca&heartbeat=9&ssl_keyfile=/key")
    assert url == "amqps://me:secret@host:5671/vhost?heartbeat=9"
    required = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
    assert tls == {"ca_certs": "/ca", "keyfile": "/key", **required}
    assert split_amqp_tls("amqps://host//") == ("amqps://host//", required)
    assert split_amqp_tls("amqps://host//?ssl_cert_reqs=none")[1] == {"cert_reqs": ssl.CERT_NONE}
    assert split_amqp_tls("amqp://host//") == ("amqp://host//", None)


def test_only_redis_is_told_of_a_key_prefix(settings: Settings) -> None:
    over_redis = make_app(settings, "valkeys://host/0", "valkeys://host/0").conf
    assert over_redis.broker_transport_options["global_keyprefix"] == f"{settings.key_prefix}:"
    assert over_redis.broker_url == over_redis.result_backend == "rediss://host/0?ssl_cert_reqs=required"
    over_amqp = make_app(settings, "amqps://host/vhost", "redis://host/0").conf
    assert over_amqp.broker_transport_options == {"confirm_publish": True}
    assert over_amqp.broker_use_ssl["cert_reqs"] is ssl.CERT_REQUIRED
    assert over_amqp.result_backend_transport_options["global_keyprefix"] == f"{settings.key_prefix}:"
