"""After an outage every lease looks over, and nothing is taken from anybody for it (PROTOCOL, rule 11)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.models.identity import IncarnationId, RunId
from dispatch.models.outcome import Completed, Lost
from dispatch.models.states import RunState
from dispatch.results import ResultHandler
from dispatch.store import StartedRun

WORKERS, AGENTS = 3, 4
EVERY = 5
"""Seconds between two ticks."""


class Fleet:
    """Workers of which every agent works."""

    def __init__(self, scene: Any, bus: Any) -> None:
        self._scene, self._bus = scene, bus
        self.workers = [scene.worker(f"w{number}@host", agents=AGENTS) for number in range(WORKERS)]
        for number in range(WORKERS * AGENTS):
            scene.bead(f"shop-{number:02}")
        list(self.ticks(EVERY))
        self.runs: dict[IncarnationId, list[StartedRun]] = {worker: [] for worker in self.workers}
        for run in scene.store.reading.runs(open_only=True, limit=100):
            self.runs[run.incarnation_id].append(scene.start(run.id, run.incarnation_id))
        assert [len(started) for started in self.runs.values()] == [AGENTS] * WORKERS

    def ticks(self, seconds: int) -> Iterator[Any]:
        """Tick so long, and say what each tick did. What arms the rescue is in the database: no ticker lives on."""
        for _ in range(seconds // EVERY):
            self._scene.clock.advance(timedelta(seconds=EVERY))
            results = ResultHandler(self._scene.store, self._bus, self._scene.settings)
            dispatcher = Dispatcher(self._scene.store, self._bus, self._scene.settings)
            yield Tick(self._scene.store, dispatcher, self._bus, self._scene.settings, sweep=results.sweep).run()

    def live(self, *workers: IncarnationId) -> None:
        """Let workers send their heartbeats, and those of their runs."""
        for worker in workers:
            assert self._scene.store.swarm.heartbeat(worker)
            for started in self.runs[worker]:
                assert self._scene.store.running.renew(started.run.id, started.token) is not None

    def arm(self) -> None:
        """Tick until the rescue is armed, while everybody lives."""
        for number, report in enumerate(self.ticks(60)):
            assert report.lost == ()
            if number % 3 == 0:
                self.live(*self.workers)
        assert report.armed


def test_a_mass_of_leases_that_look_over_after_an_outage_are_left_to_their_workers(scene: Any, bus: Any) -> None:
    fleet = Fleet(scene, bus)
    fleet.arm()
    *returned, dead = fleet.workers

    scene.clock.advance(timedelta(minutes=20))

    # Everybody comes back, the ticker first; all but one worker, and they not at once.
    for number, report in enumerate(fleet.ticks(45)):
        assert (report.armed, report.lost) == (False, ())
        if number in (5, 7):
            fleet.live(*returned)
    assert {scene.run(started.run.id).state for runs in fleet.runs.values() for started in runs} == {RunState.RUNNING}
    assert {agent.state for worker in fleet.workers for agent in scene.agents_of(worker)} == {"working"}

    lost: list[RunId] = []
    for report in fleet.ticks(30):
        lost += report.lost
    assert sorted(lost) == sorted(started.run.id for started in fleet.runs[dead])
    assert all(isinstance(scene.run(run_id).outcome, Lost) for run_id in lost)
    for started in (started for worker in returned for started in fleet.runs[worker]):
        assert scene.report(started, Completed(nothing_to_do=True))
        assert scene.settle(started.run.id) is not None
