"""The walk over RabbitMQ with Valkey as the result backend, its faults, and what is said when an address is wrong."""

import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatch import embedded
from dispatch.models.identity import ProjectId
from dispatch.models.messages import TaskMessage
from dispatch.models.queues import role_queue
from dispatch.models.states import RunState
from tests.brokers.certificates import Certificates
from tests.brokers.rabbitmq import RabbitMQ
from tests.brokers.work import gated_work, quick_work
from tests.walk.conftest import STORY

ROLE = "backend-engineer"
UNKNOWN = 20
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rabbitmq")]


@pytest.fixture(scope="module")
def deployment(rabbitmq: RabbitMQ, servers: embedded.Servers, deploy: Callable[..., Any]) -> Any:
    """Given two agent workers of one agent each, the second on threads, and the services."""
    deployment = deploy(broker_url=rabbitmq.url(), result_backend_url=servers.broker_url)
    deployment.start_worker("one", role_queue(ROLE), concurrency=1)
    deployment.start_worker("two", role_queue(ROLE), concurrency=1, pool="threads")
    deployment.start_services()
    deployment.await_workers("one", "two", "services")
    return deployment


def unknown_order() -> TaskMessage:
    """Return an order for a run that is in no database."""
    return TaskMessage(
        run_id=uuid.uuid4(),
        step_id=uuid.uuid4(),
        project_id="shop",
        bead_id="nobody-knows",
        role=ROLE,
        attempt=1,
        timeout_seconds=60,
    )


def refused(deployment: Any) -> int:
    """Return how many orders for unknown runs the agent workers have refused."""
    return sum(deployment.log(name).read_text().count("a run was not started") for name in ("one", "two"))


def test_a_bead_and_its_dependent_go_all_the_way(deployment: Any, walk: Any) -> None:
    first, second, check = walk
    base = deployment.git("rev-parse", "main")
    _, last = deployment.import_beads(first, second)
    deployment.await_status(last, "closed")
    check(deployment, base)


def test_no_message_waits_behind_a_run_while_another_worker_is_free(deployment: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    (long,) = deployment.import_beads({"id": "long", "title": "Long", "description": gated_work("long", gate)})
    deployment.await_running(long)
    # Each is handed over anew, and each time both workers could take it.
    for number in range(4):
        (short,) = deployment.import_beads({"id": f"short-{number}", "title": "x", "description": "```nothing\n```"})
        deployment.await_status(short, "closed")
    gate.touch()
    deployment.await_status(long, "closed")


def test_rabbitmq_is_killed_and_starts_again_in_mid_run(deployment: Any, rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    gates = {name: tmp_path / name for name in ("during", "after")}
    during, after = deployment.import_beads(
        *({"id": name, "title": name, "description": gated_work(name, gate)} for name, gate in gates.items())
    )
    for key in (during, after):
        deployment.await_running(key)
    # Orders that nobody can take now, and that nobody knows of when somebody can: both workers come back to them.
    for _ in range(UNKNOWN):
        deployment.system.bus.publish_task_for_role(ProjectId("shop"), ROLE, unknown_order())
    rabbitmq.kill()
    gates["during"].touch()
    deployment.until(lambda: deployment.runs(during)[0].state is RunState.REPORTED, what="the report without a broker")
    rabbitmq.start()
    new = deployment.import_beads(
        *({"id": f"new-{number}", "title": "x", "description": quick_work(f"new-{number}")} for number in range(3))
    )

    # A worker that comes back with its only agent at work leaves the others to the other one.
    for key in (during, *new):
        deployment.await_status(key, "closed")
    deployment.until(lambda: refused(deployment) == UNKNOWN, what="the unknown orders to be refused")
    gates["after"].touch()
    deployment.await_status(after, "closed")
    for key in (during, after, *new):
        assert deployment.story(key) == STORY
        assert len(deployment.runs(key)) == 1
    nodes = {f"{name}@here" for name in ("one", "two", "services")}

    def answering() -> set[str]:
        with deployment.app.connection_for_write() as connection:  # the pool's own may be of before the outage
            answers = deployment.app.control.ping(timeout=0.5, connection=connection)
        return {node for answer in answers for node in answer}

    deployment.until(lambda: answering() == nodes, what="all workers to be back")


def test_the_doctor_names_what_is_wrong_and_keeps_the_secret(
    cli: Any, rabbitmq: RabbitMQ, servers: embedded.Servers, make_certificates: Callable[[], Certificates]
) -> None:
    wrong = {
        "ACCESS_REFUSED": rabbitmq.url(password="not-the-password"),
        "vhost nowhere not found": rabbitmq.url(vhost="nowhere"),
        "CERTIFICATE_VERIFY_FAILED": rabbitmq.tls_url(make_certificates().authority),
    }
    for told, url in wrong.items():
        said = cli(broker_url=url, result_backend_url=servers.broker_url)("doctor", "--json")
        found = {finding["part"]: finding for finding in said.json}
        assert (said.code, found["broker"]["health"], found["results"]["health"]) == (1, "broken", "ok")
        assert told in found["broker"]["found"]
        assert found["broker"]["found"].endswith("Start it, or correct broker_url.")
        assert rabbitmq.password not in said.out + said.err
        assert "not-the-password" not in said.out + said.err


def test_rabbitmq_is_reached_over_tls(
    cli: Any, rabbitmq: RabbitMQ, servers: embedded.Servers, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_content(url: str) -> bool:
        said = cli(broker_url=url, result_backend_url=servers.broker_url)("doctor")
        return "ok       broker: amqps://dispatch:***@127.0.0.1:" in said.out

    plain = rabbitmq.tls_url().partition("?")[0]
    assert is_content(rabbitmq.tls_url())
    assert is_content(f"{plain}?ssl_cert_reqs=none")
    assert not is_content(plain), "an authority that nobody named is trusted"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    assert is_content(plain)


def test_a_worker_that_is_refused_ends_with_a_sentence(
    environment: Any, rabbitmq: RabbitMQ, servers: embedded.Servers
) -> None:
    url = rabbitmq.url(password="not-the-password")
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers", "worker", "-Q", "control", "-c", "1"],
        env=environment(broker_url=url, result_backend_url=servers.broker_url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 5
    assert "dispatch: The broker at amqp://dispatch:***@127.0.0.1:" in ended.stderr
    assert "ACCESS_REFUSED" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "not-the-password" not in ended.stdout + ended.stderr
