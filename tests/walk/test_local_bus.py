"""The same walk in one process: the local bus carries what Celery carries elsewhere."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.errors import ConfigurationError, NotFoundError
from dispatch.models.identity import BeadKey
from dispatch.models.messages import ActionEvent, ProgressEvent
from dispatch.models.outcome import Cancelled, Completed, Failed
from dispatch.models.states import RunState
from workers.foreground import run_bead, serve_locally

ROLE = "backend-engineer"
pytestmark = pytest.mark.xdist_group("walk-local")


@pytest.fixture
def place(deploy: Callable[..., Any]) -> Any:
    """Given a deployment of which no process runs."""
    return deploy()


def bead(place: Any, description: str, **fields: Any) -> BeadKey:
    (key,) = place.import_beads({"id": "shop-9", "title": "A bead", "description": description, **fields})
    return key  # type: ignore[no-any-return]


def test_two_beads_go_all_the_way_in_the_foreground(place: Any, walk: Any) -> None:
    first, second, check = walk
    base = place.git("rev-parse", "main")
    keys = place.import_beads(first, second)
    heard: list[Any] = []
    for key in keys:
        report = run_bead(place.system, key, on_event=heard.append)
        assert report.dispatched
        assert report.landed
        assert (report.status, type(report.outcome)) == ("closed", Completed)
        assert place.runs(key)[0].id == report.run_id
    check(place, base)
    assert {type(event) for event in heard} >= {ActionEvent, ProgressEvent}
    assert place.store.swarm.workers() == []


def test_a_whole_deployment_is_served_by_one_process(place: Any, walk: Any) -> None:
    first, second, check = walk
    base = place.git("rev-parse", "main")
    stop = threading.Event()
    serving = threading.Thread(
        target=serve_locally, args=(place.system,), kwargs={"roles": [ROLE], "agents": 2, "stop": stop}
    )
    serving.start()
    try:
        _, last = place.import_beads(first, second)
        place.await_status(last, "closed")
    finally:
        stop.set()
        serving.join(30)
    assert not serving.is_alive()
    check(place, base)
    assert place.store.swarm.workers() == []


def test_a_deployment_served_by_one_process_keeps_house_too(place: Any) -> None:
    bead(place, "")
    place.system.dispatcher.escalate_bead_to_ceo("shop-9", "It needs a key.")
    with place.store.units.begin() as tx:
        tx.connection.execute(text("UPDATE decisions SET announced_at = announced_at - interval '4 hours'"))
    stop = threading.Event()
    serving = threading.Thread(
        target=serve_locally, args=(place.system,), kwargs={"roles": [ROLE], "agents": 1, "stop": stop}
    )
    serving.start()
    try:
        place.until(
            lambda: place.ask("SELECT count(*) FROM decisions WHERE announced_at > now() - interval '1 hour'"),
            what="the announcement of what nobody decides",
        )
    finally:
        stop.set()
        serving.join(30)
    assert not serving.is_alive()


def test_a_server_that_is_told_to_stop_hands_its_runs_back(place: Any) -> None:
    key = bead(place, "```file wip.txt\nwip\n```\n```sleep 600\n```\n")
    stop = threading.Event()
    serving = threading.Thread(
        target=serve_locally, args=(place.system,), kwargs={"roles": [ROLE], "agents": 1, "stop": stop}
    )
    serving.start()
    try:
        place.await_file(place.await_running(key), "wip.txt")
    finally:
        stop.set()
        serving.join(30)
    (run,) = place.runs(key)
    assert run.outcome == Cancelled(cause="handback")
    assert place.bead(key).status == "open"
    assert place.git("show", f"{place.branch(key)}:wip.txt") == "wip"


def test_ctrl_c_hands_back_what_was_done_so_far(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.local_worker import LocalWorker

    key = bead(place, "```file wip.txt\nwip\n```\n```sleep 600\n```\n")
    drain = LocalWorker.drain
    interrupted = threading.Event()

    def interrupt_once(worker: LocalWorker) -> None:
        if not interrupted.is_set():
            interrupted.set()
            place.await_file(place.await_running(key), "wip.txt")
            raise KeyboardInterrupt
        drain(worker)

    monkeypatch.setattr(LocalWorker, "drain", interrupt_once)
    report = run_bead(place.system, key)
    assert report.outcome == Cancelled(cause="handback")
    assert (report.status, report.landed) == ("open", False)
    assert place.bead(key).hops == 0
    assert place.git("show", f"{place.branch(key)}:wip.txt") == "wip"
    assert place.store.swarm.workers() == []


def test_a_bead_that_cannot_go_says_why_and_nothing_is_claimed(place: Any) -> None:
    blocked = [
        {"issue_id": "shop-9", "depends_on_id": "shop-8", "type": "blocks", "created_at": "2026-01-01T00:00:00Z"}
    ]
    place.import_beads({"id": "shop-8", "title": "First", "description": "```nothing\n```"})
    key = bead(place, "", dependencies=blocked)
    report = run_bead(place.system, key)
    assert not report.dispatched
    assert "shop-8" in report.reason
    assert (report.status, report.run_id) == ("open", None)

    assert run_bead(place.system, BeadKey.of("shop", "shop-8")).status == "closed"
    report = run_bead(place.system, BeadKey.of("shop", "shop-8"))
    assert "closed" in report.reason

    place.store.projects.set_paused(key.project_id, True, "lunch")
    assert "lunch" in run_bead(place.system, key).reason
    assert place.runs(key) == []


def test_a_failure_is_told_and_the_bead_then_cools_down(place: Any) -> None:
    key = bead(place, "```fail\nno\n```\n")
    first = run_bead(place.system, key)
    assert isinstance(first.outcome, Failed)
    place.ask("UPDATE beads SET cooldown_until = now() + interval '1 h' RETURNING 1")
    second = run_bead(place.system, key)
    assert not second.dispatched
    assert "cools down" in second.reason


def test_a_runner_that_is_not_configured_is_an_error_before_anything_is_claimed(place: Any) -> None:
    key = bead(place, "")
    with pytest.raises(NotFoundError, match="literal"):
        run_bead(place.system, key, runner="no-such")
    other = place.import_beads({"id": "shop-7", "title": "x", "labels": ["role:nobody"]})[0]
    with pytest.raises(ConfigurationError, match="nobody"):
        run_bead(place.system, other)
    assert place.runs(key) == place.runs(other) == []
    assert place.store.swarm.workers() == []


def test_an_error_between_claim_and_run_gives_the_bead_back(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dispatch.dispatcher import Dispatcher

    key = bead(place, "```nothing\n```")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Dispatcher, "hand_over", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_bead(place.system, key)
    assert place.bead(key).status == "open"
    assert place.store.swarm.workers() == []


def test_a_run_that_may_not_start_here_gives_its_bead_back(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dispatch.store.running import RunningRecords

    key = bead(place, "```nothing\n```")
    monkeypatch.setattr(RunningRecords, "start", lambda *_: "its worker is stopping, or is not registered")
    report = run_bead(place.system, key)
    assert (report.outcome, report.status) == (None, "open")
    assert [run.state for run in place.runs(key)] == [RunState.WITHDRAWN]
