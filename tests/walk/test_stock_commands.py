"""The stock Celery commands work as they are: worker on each pool, inspect, report, Flower."""

import base64
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from dispatch.bus.celery import RUN_TASK, SETTLE_TASK
from dispatch.models.queues import role_queue

ROLE = "backend-engineer"
PATIENCE = 60
USER, PASSWORD = "someone", "a password"
pytestmark = pytest.mark.xdist_group("walk-stock")


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., Any]) -> Any:
    """Given a small host's deployment: an agent worker on threads, control and results on one worker, a lander."""
    deployment = deploy()
    deployment.start_worker("threads", f"{role_queue(ROLE)},{role_queue('qa-engineer')}", concurrency=3, pool="threads")
    deployment.start("small", "worker", "-n", "small@here", "-Q", "control,results", "-c", "2")
    deployment.start("lander", "worker", "-n", "lander@here", "-Q", "landing", "-c", "1")
    deployment.start("beat", "beat", "--pidfile", str(deployment.directory / "beat.pid"))
    deployment.await_workers("threads", "small", "lander")
    return deployment


def celery(deployment: Any, *arguments: str) -> str:
    """Run a command of Celery and return what it prints."""
    finished = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers", *arguments],
        cwd=deployment.directory,
        env=deployment.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_workers_register_as_what_they_are(deployment: Any) -> None:
    workers = {worker.node.partition("@")[0]: worker for worker in deployment.store.swarm.workers()}
    assert (workers["threads"].agents, workers["threads"].pool) == (3, "thread")
    assert set(workers["threads"].roles) == {ROLE, "qa-engineer"}
    assert (workers["small"].agents, workers["small"].queues) == (0, ("control", "results"))
    assert len(deployment.store.swarm.agents(ROLE)) == 3
    assert deployment.store.swarm.queues_served() >= {"control", "results", "landing", role_queue(ROLE)}


def test_a_worker_on_threads_takes_messages_ahead(deployment: Any) -> None:
    """One by one, forty short runs took twenty times as long there."""
    (configuration,) = deployment.app.control.inspect(["threads@here"], timeout=10).conf().values()
    assert configuration["worker_disable_prefetch"] is False


def test_a_bead_goes_all_the_way_on_a_small_host(deployment: Any) -> None:
    document = {"id": "small-1", "title": "Small", "description": "```file small.txt\nsmall\n```\n"}
    (key,) = deployment.import_beads(document)
    deployment.await_status(key, "closed")
    assert (deployment.repository / "small.txt").exists()


@pytest.mark.parametrize(("worker", "task"), [("threads", RUN_TASK), ("small", SETTLE_TASK)])
def test_task_events_reach_a_listener_though_a_worker_sends_them_in_batches(
    deployment: Any, worker: str, task: str
) -> None:
    heard: list[str] = []

    def take(event: dict[str, Any]) -> None:
        if event["hostname"] == f"{worker}@here" and event.get("name", task) == task:
            heard.append(event["type"])

    with deployment.app.connection_for_read() as address:
        receiver = deployment.app.events.Receiver(address, handlers={"*": take})
        with receiver.consumer_context() as (connection, _, _):
            deployment.import_beads({"id": f"heard-{worker}", "title": "Heard", "description": "```nothing\n```"})
            until = time.monotonic() + PATIENCE
            while not {"task-received", "task-started", "task-succeeded"} <= set(heard):
                assert time.monotonic() < until, heard
                with suppress(TimeoutError):
                    connection.drain_events(timeout=1)


def test_inspect_and_report_answer(deployment: Any) -> None:
    assert "workers.tasks.run" in celery(deployment, "inspect", "registered", "-d", "threads@here")
    report = celery(deployment, "report")
    assert "software -> celery:5" in report
    password = deployment.settings.database_url.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password
    assert password not in report


def test_flower_answers_and_shows_runs_as_beads(deployment: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    deployment.environment |= {"FLOWER_BASIC_AUTH": f"{USER}:{PASSWORD}"}
    config = Path(__file__).parents[2] / "flowerconfig.py"
    deployment.start("flower", "flower", f"--port={port}", f"--conf={config}")

    def get(path: str, *, authorised: bool = True) -> tuple[int, str]:
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {token}"} if authorised else {}
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def is_up() -> bool:
        try:
            return get("/healthcheck", authorised=False) == (200, "OK")
        except ConnectionError:
            return False

    deployment.until(is_up, what="Flower to answer")
    assert get("/tasks", authorised=False)[0] == 401
    deployment.until(lambda: "threads@here" in get("/workers?json=1")[1], what="Flower to see the workers")

    document = {"id": "shown-1", "title": "Shown", "description": "```nothing\n```"}
    (key,) = deployment.import_beads(document)
    deployment.await_status(key, "closed")
    shown = f"shop/shown-1, {ROLE}, attempt 1, agent of threads@here"
    table = "/tasks/datatable?draw=1&start=0&length=100&search[value]=&order[0][column]=0&order[0][dir]=asc"
    columns = "&columns[0][data]=name"
    deployment.until(lambda: shown in get(table + columns)[1], what="Flower to show the bead")
    process = deployment.processes.pop("flower")
    os.kill(process.pid, signal.SIGTERM)
    process.wait(20)
