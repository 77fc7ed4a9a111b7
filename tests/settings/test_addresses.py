"""Addresses of broker and result backend that cannot be used are refused when they are read, with the cure."""

from pathlib import Path

import pytest

from dispatch.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'broker_url = "redis//host"',
            'dispatch.toml:1: broker_url = "redis//host" is not an address. Write for example redis://host:6379/0.',
        ),
        (
            'broker_url = "kafka://:secret@host"',
            'dispatch.toml:1: broker_url = "kafka://:***@host" is of a kind that dispatch does not support. Use one of '
            "redis://, rediss://, redis+socket://, valkey://, valkeys://, valkey+socket://, amqp://, amqps://.",
        ),
        (
            'result_backend_url = "amqp://:secret@host"',
            'dispatch.toml:1: result_backend_url = "amqp://:***@host" is of a kind that dispatch does not support. '
            "Use one of redis://, rediss://, redis+socket://, valkey://, valkeys://, valkey+socket://.",
        ),
        (
            'broker_url = "redis://host:port/0"',
            'dispatch.toml:1: broker_url = "redis://host:port/0" cannot be read (Port could not be cast to integer '
            "value as 'port'). Write for example redis://host:6379/0.",
        ),
        (
            'broker_url = "redis://host/0?ssl_cert_reqs=none"',
            'dispatch.toml:1: broker_url = "redis://host/0?ssl_cert_reqs=none" has options of TLS and a scheme without '
            "it. Write rediss://, or leave them out.",
        ),
        (
            'broker_url = "rediss://host/0?ssl_cert_reqs=maybe"',
            'dispatch.toml:1: broker_url = "rediss://host/0?ssl_cert_reqs=maybe" has the unknown ssl_cert_reqs=maybe. '
            "Use required, or none to trust whoever answers there.",
        ),
        (
            'broker_url = "rediss://host/0?ssl_ca_certs=/nowhere/ca.pem"',
            'dispatch.toml:1: broker_url = "rediss://host/0?ssl_ca_certs=/nowhere/ca.pem" names a file that is not '
            "there (ssl_ca_certs=/nowhere/ca.pem). Correct its path.",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(read, text: str, message: str):
    with pytest.raises(ConfigurationError) as raised:
        read(text)
    assert str(raised.value) == message


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+socket", "valkey", "valkeys", "valkey+socket"])
def test_every_kind_of_redis_keeps_messages_and_results(read, scheme: str):
    settings = read(f'broker_url = "{scheme}://host/0"\nresult_backend_url = "{scheme}://host/1"')
    assert settings.effective_result_backend == f"{scheme}://host/1"


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
def test_rabbitmq_needs_a_result_backend_beside_it(read, scheme: str):
    with pytest.raises(ConfigurationError, match=r"^environment DISPATCH_BROKER_URL: an AMQP broker keeps no results"):
        read("", {"DISPATCH_BROKER_URL": f"{scheme}://host//"})
    assert read(f'broker_url = "{scheme}://host//"\nresult_backend_url = "redis://host"').broker_url


def test_a_certificate_that_is_there_may_be_named(read, tmp_path: Path):
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    assert read(f'broker_url = "rediss://host/0?ssl_ca_certs={authority}"').broker_url
