"""Deployments on brokers other than the embedded one."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from dispatch.cli import main
from dispatch.settings import Settings
from tests.brokers.certificates import Certificates, has_openssl
from tests.brokers.rabbitmq import RabbitMQ, find_script
from tests.brokers.tls_proxy import TlsProxy
from tests.brokers.valkey import PrivateValkey
from tests.cli.conftest import Call, Said
from tests.walk.conftest import ROOT, deploy, pytest_runtest_makereport, walk

__all__ = ["deploy", "pytest_runtest_makereport", "walk"]


@pytest.fixture(scope="module")
def make_certificates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Certificates]:
    """Given a way to make certificates, each time of another authority."""
    if not has_openssl():
        pytest.skip("the program openssl is not installed, which makes the certificates")
    return lambda: Certificates.make(tmp_path_factory.mktemp("certificates") / "of-a-test")


@pytest.fixture(scope="module")
def certificates(make_certificates: Callable[[], Certificates]) -> Certificates:
    return make_certificates()


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[RabbitMQ]:
    """Given a RabbitMQ of this module alone."""
    script = find_script()
    if script is None:
        pytest.skip("RabbitMQ is not installed (Debian's package rabbitmq-server)")
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"), script, certificates)
    try:
        node.start()
        yield node
    finally:
        node.end()


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    """Given a Valkey of this module alone."""
    server = PrivateValkey()
    yield server
    server.end()


@pytest.fixture(scope="module")
def tls_port(valkey: PrivateValkey, certificates: Certificates) -> Iterator[int]:
    """Given the port of loopback at which that Valkey speaks TLS."""
    proxy = TlsProxy(certificates, valkey.socket)
    yield proxy.port
    proxy.close()


Environment = Callable[..., dict[str, str]]


@pytest.fixture
def environment(settings: Settings) -> Environment:
    """Given the environment of a deployment of its own with the addresses that a test names."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DISPATCH_")}

    def make(*, broker_url: str, result_backend_url: str = "") -> dict[str, str]:
        return ours | {
            "DISPATCH_HOME": str(settings.home),
            "DISPATCH_DATABASE_URL": settings.database_url,
            "DISPATCH_KEY_PREFIX": settings.key_prefix,
            "DISPATCH_BROKER_URL": broker_url,
            "DISPATCH_RESULT_BACKEND_URL": result_backend_url,
            "PYTHONPATH": str(ROOT),
        }

    return make


@pytest.fixture
def cli(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Call]]:
    """Given the command line, in this process, of a deployment with the addresses that a test names."""
    monkeypatch.chdir(tmp_path)

    def at(**addresses: str) -> Call:
        for name in [name for name in os.environ if name.startswith("DISPATCH_")]:
            monkeypatch.delenv(name)
        for name, value in environment(**addresses).items():
            if name.startswith("DISPATCH_"):
                monkeypatch.setenv(name, value)

        def call(*arguments: str) -> Said:
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            printed = capsys.readouterr()
            assert isinstance(ended.value.code, int)
            return Said(ended.value.code, printed.out, printed.err)

        return call

    yield at
    structlog.reset_defaults()
