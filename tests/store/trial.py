"""A bead that is tried again and again, as the tests of what comes of that need it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dispatch.models.agent import Agent
from dispatch.models.identity import BeadId, BeadKey
from dispatch.models.outcome import Failed, Outcome
from dispatch.models.run import ActionRecord
from dispatch.models.settling import LookBack, Past
from tests.loops.actions import commands

FAILED = Failed(cause="tests", summary="Still red.")
ALL = LookBack(actions=True, agents=True)


class Trial:
    """A bead that is tried again and again, with as many hops as `limit`, and enough failures to get there."""

    def __init__(self, scene: Any, *, limit: int = 3, workers: int = 1) -> None:
        guards = scene.settings.guards.model_copy(update={"max_dispatch_hops": limit, "max_failures": 1000})
        scene.settings = scene.settings.model_copy(update={"guards": guards})
        self.scene = scene
        self.workers = [scene.worker(f"w{number}@host") for number in range(workers)]
        self.key = BeadKey(scene.project.id, BeadId("shop-1"))
        self.tell(priority=2)

    def tell(self, *, priority: int, **fields: Any) -> None:
        """Import the bead as its tracker has it."""
        record = self.scene.record(self.key.bead_id, priority=priority, updated_at=self.scene.clock.at, **fields)
        document = {**record.document, "priority": priority, "notes": f"For {record.role_hint or 'anybody'}."}
        told = replace(record, document=document, text=json.dumps(document))
        report = self.scene.store.imports.import_records(self.key.project_id, [told])
        assert report.created + report.updated == 1

    @property
    def agents(self) -> list[Agent]:
        return [self.scene.agents_of(worker)[0] for worker in self.workers]

    def run(self, actions: Sequence[ActionRecord] = (), outcome: Outcome = FAILED, by: int = 0) -> Any:
        """Give the bead to a worker's agent, and return its effect and the run."""
        scene, worker = self.scene, self.workers[by]
        scene.clock.advance(timedelta(minutes=10))
        for each in self.workers:
            scene.store.swarm.heartbeat(each)
        started = scene.start(scene.claimed(self.key, [self.agents[by]]), worker)
        scene.store.running.record_actions(started.run.id, actions)
        assert scene.report(started, outcome)
        settled = scene.settle(started.run.id)
        assert settled is not None
        return settled

    @property
    def bead(self) -> Any:
        return self.scene.read(self.key)

    def decision(self) -> Any:
        """The decision that the bead waits for."""
        (blocker,) = self.scene.store.reading.blockers(self.key)
        return self.scene.read(BeadKey(self.key.project_id, blocker.id))

    @property
    def escalated_for(self) -> str:
        """Why the bead was last escalated."""
        return str(self.scene.events("bead.escalated")[-1].data["reason"])

    def past(self, wanted: LookBack = ALL) -> Past:
        past: Past = self.scene.store.settling.look_back(self.key, wanted)
        return past


def new(number: int) -> list[ActionRecord]:
    """What no run did before."""
    return commands([f"cat {number}.py", "make"])
