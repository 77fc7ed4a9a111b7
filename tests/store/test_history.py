"""The history alone tells who held what when: a storm of everything at once, checked from its events."""

import random
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dispatch.dispatcher import Dispatcher
from dispatch.models.event import Event
from dispatch.models.identity import IncarnationId, RunId
from dispatch.models.outcome import Cancelled, Completed, Failed, Lost
from dispatch.results import ResultHandler
from dispatch.store import StartedRun, Store

WORKERS, AGENTS, BEADS = 3, 2, 24
NEXT = {
    None: {"run.claimed"},
    "run.claimed": {"run.started", "run.withdrawn"},
    "run.started": {"run.asked_to_stop", "run.reported", "run.expired"},
    "run.asked_to_stop": {"run.reported", "run.expired"},
    "run.reported": {"run.settled"},
    "run.expired": {"run.settled"},
}
BESIDE = {"run.start_refused", "run.report_refused", "run.rebound"}
"""What may happen at any time, and moves no run."""


def _check_runs(events: Iterable[Event]) -> dict[RunId, str]:
    """Follow every run through its events; return the last one of each."""
    last: dict[RunId, str] = {}
    for event in events:
        if event.run_id is not None and event.kind.startswith("run.") and event.kind not in BESIDE:
            before = last.get(event.run_id)
            assert event.kind in NEXT[before], f"{event.run_id}: {event.kind} after {before}"
            last[event.run_id] = event.kind
    return last


def _check_beads(events: Iterable[Event]) -> None:
    """A bead is claimed only while no run holds it, and moves only at the end of one."""
    holder: dict[str, RunId] = {}
    for event in events:
        if event.bead_id is None:
            continue
        if event.kind == "run.claimed":
            assert event.bead_id not in holder, f"{event.bead_id} is claimed twice"
            assert event.run_id is not None
            holder[event.bead_id] = event.run_id
        elif event.kind in ("run.settled", "run.withdrawn"):
            assert holder.pop(event.bead_id) == event.run_id
        elif event.kind in ("bead.open", "bead.landing", "bead.closed") and event.run_id is not None:
            assert event.bead_id not in holder


def _check_agents(events: Iterable[Event]) -> None:
    """An agent works for one run at a time, from its start until it is settled or gives the agent away."""
    works_for: dict[str, RunId] = {}
    has: dict[RunId, str] = {}
    for event in events:
        run_id = event.run_id
        if run_id is None:
            continue
        if event.kind == "run.started":
            agent = event.data["agent"]
            assert agent not in works_for, f"{agent} works for {works_for[agent]} and {run_id}"
            works_for[agent], has[run_id] = run_id, agent
        elif event.kind == "run.settled" or (event.kind == "run.rebound" and run_id in has):
            freed = has.pop(run_id, None)
            if freed is not None:
                assert works_for.pop(freed) == run_id
    assert works_for == {}


class _Storm:
    """Workers that take any message, messages that come twice or get lost, and a clock that stands."""

    def __init__(self, scene: Any, bus: Any) -> None:
        self.scene, self.bus = scene, bus
        self.results = ResultHandler(scene.store, bus, scene.settings)
        self.dispatcher = Dispatcher(scene.store, bus, scene.settings)
        self.failures: list[BaseException] = []
        self.over = threading.Event()

    def work(self, worker: IncarnationId, seed: int) -> None:
        """Be one pool process: take any message there is, sometimes one that somebody else took."""
        luck, store = random.Random(seed), self.scene.store
        while not self.over.is_set():
            tasks = self.bus.tasks
            if not tasks:
                self.over.wait(0.002)
                continue
            nearby = tasks[-8:] if luck.random() < 0.7 else tasks  # the others are not to be forgotten
            started = store.running.start(RunId(luck.choice(nearby).run_id), worker)
            if isinstance(started, StartedRun):
                self._do(started, store, luck)
            else:
                self.over.wait(0.01)

    def _do(self, started: StartedRun, store: Store, luck: random.Random) -> None:
        store.running.renew(started.run.id, started.token)
        outcome = luck.choice(
            [Completed(nothing_to_do=True), Completed(nothing_to_do=True), Failed(cause="tests"), Cancelled(cause="x")]
        )
        self.scene.report(started, outcome)
        if luck.random() < 0.7:
            self.results.settle(started.run.id)
        self.scene.report(started, Lost())

    def tick(self) -> None:
        """Be the ticker: sweep, publish and dispatch without rest."""
        store = self.scene.store
        while not self.over.is_set():
            for key in [bead.key for bead in store.reading.ready(self.scene.project.id, as_tracker=True)]:
                self._forget_cooldown(key)
            for run in store.reading.runs(open_only=True):
                if run.state == "reported":
                    self.results.sweep([run.id])
            self.dispatcher.dispatch()
            if store.reading.counts(self.scene.project.id).keys() == {"closed"}:
                self.over.set()

    def _forget_cooldown(self, key: Any) -> None:
        self.scene.value(
            "UPDATE beads SET cooldown_until = NULL, failures = 0 WHERE id = :id AND status = 'open' RETURNING 1",
            id=key.bead_id,
        )

    def guarded(self, work: Any, *arguments: Any) -> threading.Thread:
        def run() -> None:
            try:
                work(*arguments)
            except BaseException as error:  # noqa: BLE001 - the test asserts that there is none
                self.failures.append(error)
                self.over.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread


def test_the_events_of_a_storm_tell_a_history_without_contradictions(scene: Any, bus: Any) -> None:
    for number in range(BEADS):
        scene.bead(f"shop-{number}", waits_for=[f"shop-{number - 6}"] if number >= 6 else [])
    workers = [scene.worker(f"w{number}@host", agents=AGENTS) for number in range(WORKERS)]
    storm = _Storm(scene, bus)
    threads = [storm.guarded(storm.tick)]
    threads += [
        storm.guarded(storm.work, worker, number * 10 + slot)
        for number, worker in enumerate(workers)
        for slot in range(AGENTS)
    ]
    storm.over.wait(90)
    storm.over.set()
    for thread in threads:
        thread.join(30)
    assert storm.failures == []
    assert scene.store.reading.counts() == {"closed": BEADS}
    events = scene.store.reading.events_after(0, limit=100_000)
    last = _check_runs(events)
    assert set(last.values()) <= {"run.settled", "run.withdrawn"}
    _check_beads(events)
    _check_agents(events)
    for worker in workers:
        assert {agent.state for agent in scene.agents_of(worker)} == {"idle"}
    claims = [event.run_id for event in events if event.kind == "run.claimed"]
    assert len(claims) == len(set(claims)) == scene.value("SELECT count(*) FROM runs")
    attempts = defaultdict(list)
    for event in events:
        if event.kind == "run.claimed":
            attempts[event.bead_id].append(event.data["attempt"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in attempts.values())
    assert scene.value("SELECT count(*) FROM steps WHERE state = 'open'") == 0
