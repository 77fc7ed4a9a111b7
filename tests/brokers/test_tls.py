"""The walk over a Valkey that wants TLS and a password, and what is said when one of them is wrong."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.queues import role_queue
from tests.brokers.certificates import Certificates
from tests.brokers.valkey import PrivateValkey

ROLE = "backend-engineer"
PASSWORD = "the-password-of-the-test"
WRONG = "not-the-password"
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tls")]

Address = Callable[..., str]


@pytest.fixture(scope="module")
def address(valkey: PrivateValkey, tls_port: int, certificates: Certificates) -> Address:
    """Given the address of a Valkey with a password behind TLS, for one who may have a part of it wrong."""
    valkey.client().config_set("requirepass", PASSWORD)

    def write(
        *, password: str = PASSWORD, certificates: Certificates = certificates, host: str = "127.0.0.1", more: str = ""
    ) -> str:
        return f"rediss://:{password}@{host}:{tls_port}/0?ssl_ca_certs={certificates.authority}{more}"

    return write


@pytest.fixture(scope="module")
def deployment(address: Address, deploy: Callable[..., Any]) -> Any:
    deployment = deploy(broker_url=address(more="&ssl_cert_reqs=required"))
    deployment.start_worker("agents", role_queue(ROLE), concurrency=1)
    deployment.start_services()
    deployment.await_workers("agents", "services")
    return deployment


@pytest.fixture(scope="module")
def wrong(address: Address, make_certificates: Callable[[], Certificates]) -> dict[str, str]:
    """Given addresses with one thing wrong, by what the error has to say of it."""
    return {
        "CERTIFICATE_VERIFY_FAILED": address(certificates=make_certificates()),
        "invalid username-password pair": address(password=WRONG),
        "Hostname mismatch": address(host="localhost"),
    }


def test_a_bead_and_its_dependent_go_all_the_way(deployment: Any, walk: Any) -> None:
    first, second, check = walk
    base = deployment.git("rev-parse", "main")
    _, last = deployment.import_beads(first, second)
    deployment.await_status(last, "closed")
    check(deployment, base)
    assert PASSWORD not in deployment.logs()


def test_nobody_comes_in_without_password_or_tls(valkey: PrivateValkey, address: Address, tls_port: int) -> None:
    def answer(family: socket.AddressFamily, place: Any) -> bytes:
        with socket.socket(family) as connection:
            connection.settimeout(20)
            connection.connect(place)
            connection.sendall(b"PING\r\n")
            return connection.recv(64)

    assert answer(socket.AF_UNIX, str(valkey.socket)).startswith(b"-NOAUTH")
    assert not answer(socket.AF_INET, ("127.0.0.1", tls_port)).startswith((b"+", b"-")), "it answers in the clear"


def test_the_server_is_verified_as_the_address_says(
    cli: Any, address: Address, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_content(url: str) -> bool:
        return f"ok       broker: {url.replace(PASSWORD, '***')}\n" in cli(broker_url=url)("doctor").out

    plain = address().partition("?")[0]
    assert is_content(address())
    assert is_content(address().replace("rediss", "valkeys"))
    assert is_content(f"{plain}?ssl_cert_reqs=none")
    assert not is_content(plain), "an authority that nobody named is trusted"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    assert is_content(plain)


def test_the_doctor_names_what_is_wrong_and_keeps_the_secret(cli: Any, wrong: dict[str, str]) -> None:
    for told, url in wrong.items():
        said = cli(broker_url=url)("doctor", "--json")
        (broker,) = [finding for finding in said.json if finding["part"] == "broker"]
        assert (said.code, broker["health"]) == (1, "broken")
        assert broker["found"].startswith("The broker at rediss://:***@")
        assert told in broker["found"]
        assert broker["found"].endswith("Start it, or correct broker_url.")
        assert PASSWORD not in said.out + said.err
        assert WRONG not in said.out + said.err


def test_the_status_says_why_no_worker_comes(cli: Any, wrong: dict[str, str]) -> None:
    for told, url in wrong.items():
        said = cli(broker_url=url)("status")
        assert said.code == 0
        (line,) = [line for line in said.out.splitlines() if line.startswith("The broker at rediss://:***@")]
        assert told in line


def test_up_starts_nothing_that_could_not_work(
    cli: Any, deployment: Any, wrong: dict[str, str], tmp_path: Path
) -> None:
    workers = f'[workers.agents]\nroles = ["{ROLE}"]\n'
    config = tmp_path / "dispatch.toml"
    config.write_text(
        f'[runners.mine]\nkind = "command"\nargv = ["true"]\n[roles.{ROLE}]\nrunners = ["mine"]\n{workers}'
    )
    for told, url in wrong.items():
        said = cli(broker_url=url)("--config", str(config), "up")
        assert said.code == 5
        assert said.err.startswith("dispatch: The broker at rediss://:***@")
        assert told in said.err
        assert "Flower" not in said.out


def test_the_result_backend_is_looked_at_where_it_is_another(cli: Any, servers: Any, wrong: dict[str, str]) -> None:
    for told, url in wrong.items():
        said = cli(broker_url=servers.broker_url, result_backend_url=url)("doctor", "--json")
        found = {finding["part"]: finding for finding in said.json}
        assert found["broker"]["health"] == "ok"
        assert told in found["results"]["found"]
        assert found["results"]["found"].endswith("Start it, or correct result_backend_url.")


@pytest.mark.parametrize("program", ["worker", "beat"])
def test_a_program_that_is_refused_ends_with_a_sentence(environment: Any, wrong: dict[str, str], program: str) -> None:
    told, url = list(wrong.items())[program == "beat"]
    options = ("-Q", "control", "-c", "1") if program == "worker" else ()
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers", program, *options],
        env=environment(broker_url=url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 5
    (line,) = [line for line in ended.stderr.splitlines() if "dispatch: The broker at rediss://:***@" in line]
    assert told in line
    said = ended.stdout + ended.stderr
    assert "Traceback" not in said
    assert PASSWORD not in said
    assert WRONG not in said
