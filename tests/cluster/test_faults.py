"""Nodes of a cluster are killed, stopped and started again while beads are worked on: each bead still ends once."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import celery
import pytest
from pytest_celery import CeleryTestSetup, CeleryTestWorker

from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Cancelled, Completed, Lost
from dispatch.models.queues import role_queue
from dispatch.models.run import Run
from dispatch.models.states import RunState
from tests.brokers.work import gated_work, quick_work
from tests.walk.conftest import ROLE, STORY, Deployment

pytestmark = pytest.mark.xdist_group("cluster")

AGENTS = {"one@here", "two@here"}


def worker_of(setup: CeleryTestSetup, run: Run) -> CeleryTestWorker:
    """Return the node that works on a run."""
    (node,) = [node for node in setup.worker_cluster if run.agent_name.startswith(f"{node.hostname()}/")]
    return node


def answering(setup: CeleryTestSetup, order: str, *arguments: str, **options: Any) -> set[str]:
    """Give an order to workers and return the names of those that answered at once."""
    # A connection of the pool may be of before an outage.
    with setup.app.connection_for_write() as connection:
        answers = getattr(setup.app.control, order)(*arguments, timeout=0.5, connection=connection, **options)
    return {name for answer in answers for name in answer}


def await_answers(setup: CeleryTestSetup, deployment: Deployment) -> None:
    """Wait until every worker answers over the broker."""
    nodes = {node.hostname() for node in setup.worker_cluster}
    deployment.until(lambda: answering(setup, "ping") == nodes, what="an answer of every worker")


def order_agents(setup: CeleryTestSetup, deployment: Deployment, order: str) -> None:
    """Let the agent workers stop or begin to consume their queue; an order that is repeated changes nothing."""

    def obeyed() -> bool:
        return answering(setup, order, role_queue(ROLE), destination=sorted(AGENTS), reply=True) == AGENTS

    deployment.until(obeyed, what=f"{order} to be done")


def queue_length(setup: CeleryTestSetup, deployment: Deployment) -> int:
    """Return how many messages wait for agents."""
    with setup.broker.container.valkey.client() as client:
        return client.llen(f"{deployment.settings.key_prefix}:{role_queue(ROLE)}")


def interrupted(name: str) -> str:
    """Describe work whose first attempt does not end by itself."""
    return f"```file {name}-begun.txt\nbegun\n```\n```sleep 600 attempt=1\n```\n{quick_work(name)}"


def check_ended_once(deployment: Deployment, keys: Collection[BeadKey]) -> None:
    """Check that beads were closed once, each after one run that was handed over, settled and landed once."""
    for key in keys:
        deployment.await_status(key, "closed")
        assert deployment.story(key) == STORY
        (run,) = deployment.runs(key)
        assert run.outcome == Completed(summary=run.outcome.summary)
        assert deployment.git("log", "--format=%s", "main").splitlines().count(f"Do {key.bead_id}") == 1


def begin(deployment: Deployment, bead_id: str, description: str) -> BeadKey:
    (key,) = deployment.import_beads({"id": bead_id, "title": f"Do {bead_id}", "description": description})
    return key


def test_every_node_is_up(celery_setup: CeleryTestSetup, deployment: Deployment) -> None:
    assert celery_setup.ready(control=True, docker=True)
    assert len(celery_setup) == 5
    assert celery_setup.worker_cluster.versions == {celery.__version__}
    assert {agent.name.partition("/")[0] for agent in deployment.store.swarm.agents(ROLE)} == AGENTS
    await_answers(celery_setup, deployment)


def test_a_bead_and_its_dependent_go_all_the_way(celery_setup: CeleryTestSetup, deployment: Deployment, walk) -> None:
    first, second, check = walk
    base = deployment.git("rev-parse", "main")
    _, last = deployment.import_beads(first, second)
    deployment.await_status(last, "closed")
    check(deployment, base)


def test_no_message_waits_behind_a_run_while_another_worker_is_free(
    celery_setup: CeleryTestSetup, deployment: Deployment, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    long = begin(deployment, "long", gated_work("long", gate))
    deployment.await_running(long)
    # Each is handed over anew, and each time both workers could take it.
    for number in range(4):
        deployment.await_status(begin(deployment, f"short-{number}", "```nothing\n```"), "closed")
    gate.touch()
    check_ended_once(deployment, [long])


def test_a_killed_workers_bead_ends_on_another_one(celery_setup: CeleryTestSetup, deployment: Deployment) -> None:
    key = begin(deployment, "killed", interrupted("killed"))
    run = deployment.await_running(key)
    deployment.await_file(run, "killed-begun.txt")
    node = worker_of(celery_setup, run)
    node.kill()

    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert isinstance(first.outcome, Lost)
    assert isinstance(second.outcome, Completed)
    assert not second.agent_name.startswith(node.hostname())
    assert deployment.kinds(key).count("bead.closed") == 1
    assert (deployment.repository / "killed.txt").exists()
    node.restart()


def test_a_stopped_worker_hands_its_bead_back_and_comes_again(
    celery_setup: CeleryTestSetup, deployment: Deployment, tmp_path: Path
) -> None:
    key = begin(deployment, "stopped", interrupted("stopped"))
    run = deployment.await_running(key)
    deployment.await_file(run, "stopped-begun.txt")
    node = worker_of(celery_setup, run)
    node.restart(force=True)

    deployment.await_status(key, "closed")
    first, second = deployment.runs(key)
    assert first.outcome == Cancelled(cause="handback")
    assert isinstance(second.outcome, Completed)
    assert (deployment.bead(key).failures, deployment.kinds(key).count("bead.closed")) == (0, 1)

    # Two at once need the one that came again, too.
    gate = tmp_path / "gate"
    both = [begin(deployment, f"both-{number}", gated_work(f"both-{number}", gate)) for number in range(2)]
    runs = [deployment.await_running(each) for each in both]
    assert {run.agent_name.partition("/")[0] for run in runs} == AGENTS
    gate.touch()
    check_ended_once(deployment, both)


@pytest.mark.parametrize("memory", ["kept", "emptied"])
def test_the_broker_is_killed_in_mid_run(
    celery_setup: CeleryTestSetup, deployment: Deployment, tmp_path: Path, memory: str
) -> None:
    gate = tmp_path / "gate"
    running = begin(deployment, f"running-{memory}", gated_work(f"running-{memory}", gate))
    deployment.await_running(running)
    # A message that nobody takes before the broker is killed.
    order_agents(celery_setup, deployment, "cancel_consumer")
    queued = begin(deployment, f"queued-{memory}", quick_work(f"queued-{memory}"))
    deployment.until(lambda: [run.publishes for run in deployment.runs(queued)] == [1], what="the hand-over")
    # A worker that was waiting for one as it was told to stop may have taken it, and puts it back.
    deployment.until(lambda: queue_length(celery_setup, deployment) == 1, what="the message to be in the queue")

    servers = [celery_setup.broker] if memory == "kept" else [celery_setup.broker, celery_setup.backend]
    for server in servers:
        server.kill()
    gate.touch()
    deployment.until(lambda: deployment.runs(running)[0].state is RunState.REPORTED, what="the report without a broker")
    for server in servers:
        if memory == "emptied":
            server.container.forget()
        server.restart()

    await_answers(celery_setup, deployment)
    order_agents(celery_setup, deployment, "add_consumer")
    if memory == "emptied":
        patience = deployment.settings.dispatch.republish_after
        later = deployment.later(patience + timedelta(seconds=1))
        assert later.dispatcher.hand_over(later.store.rescue.unpublished(patience)) == 1
    check_ended_once(deployment, [running, queued])
    # A worker that begins at once is faster than the note that its message was published again.
    assert deployment.runs(queued)[0].publishes in ((1,) if memory == "kept" else (1, 2))
