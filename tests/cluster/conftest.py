"""pytest-celery's clusters, of real servers and workers on this machine, for all tests of a module."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestBackend,
    CeleryTestBroker,
    CeleryTestWorker,
    CeleryWorkerCluster,
)

from dispatch.models.queues import role_queue
from tests.cluster.nodes import ValkeyNode, WorkerNode
from tests.walk.conftest import ROLE, Deployment, deploy, pytest_runtest_makereport, walk

__all__ = ["deploy", "pytest_runtest_makereport", "walk"]

SERVICES = "control,results,landing"


@pytest.fixture(scope="module")
def celery_broker_cluster() -> Iterator[CeleryBrokerCluster]:
    """Given a Valkey of its own as the broker."""
    node = CeleryTestBroker(ValkeyNode("broker"))
    yield CeleryBrokerCluster(node)
    node.teardown()


@pytest.fixture(scope="module")
def celery_backend_cluster() -> Iterator[CeleryBackendCluster]:
    """Given another Valkey as the result backend."""
    node = CeleryTestBackend(ValkeyNode("backend"))
    yield CeleryBackendCluster(node)
    node.teardown()


@pytest.fixture(scope="module")
def deployment(
    celery_broker_cluster: CeleryBrokerCluster,
    celery_backend_cluster: CeleryBackendCluster,
    deploy: Callable[..., Deployment],
) -> Deployment:
    """Given a deployment on the two clusters, of which only beat runs yet."""
    (broker,), (backend,) = celery_broker_cluster.config()["urls"], celery_backend_cluster.config()["urls"]
    deployment = deploy(broker_url=broker, result_backend_url=backend)
    deployment.start_beat()
    return deployment


@pytest.fixture(scope="module")
def celery_worker_cluster(deployment: Deployment) -> CeleryWorkerCluster:
    """Given two agent workers of one agent each, and one for the services."""
    nodes = [WorkerNode(deployment, name, role_queue(ROLE), 1) for name in ("one", "two")]
    nodes.append(WorkerNode(deployment, "services", SERVICES, 2))
    for node in nodes:
        node.start()
    return CeleryWorkerCluster(*(CeleryTestWorker(node, deployment.app) for node in nodes))


@pytest.fixture
def celery_setup_app(deployment: Deployment, celery_worker_cluster: Any) -> Celery:
    """Given the deployment's own application, in whose corner of the broker the workers are."""
    return deployment.app
