"""A deployment without processes: dispatcher, results, rescue and decisions on a real database, driven by hand.

What one of its operations finds depends on what went before and on what other threads do at the same moment, so each
takes a number and chooses by it among what there is; where there is nothing, it does nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.errors import DispatchError
from dispatch.models.agent import Incarnation
from dispatch.models.bead import Bead, Dependency
from dispatch.models.decision import Option, Ruling
from dispatch.models.identity import BeadId, BeadKey, IncarnationId, ProjectId, RunId, uuid7
from dispatch.models.importing import BeadRecord
from dispatch.models.messages import ResultMessage, TaskMessage
from dispatch.models.outcome import Completed, Failed, Looped, NeedsInput, Outcome, TimedOut
from dispatch.models.states import RunState
from dispatch.models.workflow import DONE, Condition, Node, NodeKind, Workflow
from dispatch.results import ResultHandler, WorkflowEngine
from dispatch.settings import Settings
from dispatch.store import FixedClock, StartedRun, Store

T = TypeVar("T")
SHOP = ProjectId("shop")
ROLES = ("dev", "qa")
SECOND = timedelta(seconds=1)
STRIDE = 5 * SECOND
"""Between two ticks: without gaps, or the rescue would take it for an outage."""
OUTCOMES: Sequence[Outcome] = (
    Completed(nothing_to_do=True),
    Completed(nothing_to_do=True, verdict="rejected"),
    Failed(cause="tests are red"),
    TimedOut(limit_seconds=1800),
    Looped(reason="It read one file again and again."),
    NeedsInput(question="Which of the two?"),
)
WORKFLOWS = {
    "reviewed": Workflow(
        name="reviewed",
        start="do",
        cycle_limit=2,
        nodes={
            "do": Node(name="do", max_attempts=2, edges={Condition.SUCCESS: "review"}),
            "review": Node(
                name="review",
                kind=NodeKind.VERIFY,
                role="qa",
                reviewers=2,
                edges={Condition.APPROVED: "approve", Condition.REJECTED: "do", Condition.TIMEOUT: "approve"},
            ),
            "approve": Node(
                name="approve",
                kind=NodeKind.APPROVAL,
                timeout=20 * SECOND,
                edges={Condition.APPROVED: DONE, Condition.REJECTED: "do", Condition.TIMEOUT: "do"},
            ),
        },
    )
}
"""A workflow with all kinds of nodes but one, that goes round."""


@dataclass(slots=True)
class Worker:
    """A worker of two agents; `alive` while it heartbeats."""

    id: IncarnationId
    alive: bool = True


class World:
    """The deployment, and what its processes would have in their hands."""

    def __init__(self, store: Store, clock: FixedClock, settings: Settings, bus: Any) -> None:
        self.store = store
        self.clock = clock
        self.settings = settings
        self.bus = bus
        self.results = ResultHandler(store, bus, settings)
        self.restart()
        self.workers: list[Worker] = []
        self.started: list[StartedRun] = []
        self.beads: list[BeadId] = []
        self.refusals: list[str] = []
        store.projects.add(SHOP, Path("/srv/shop"), "shop")

    def restart(self, _number: int = 0) -> None:
        """Begin anew what ticks and tends: all that it knows is in the database."""
        engine = WorkflowEngine(self.store, self.settings, bus=self.bus, workflows=WORKFLOWS)
        self.dispatcher = Dispatcher(self.store, self.bus, self.settings)
        self.tick_ = Tick(
            self.store, self.dispatcher, self.bus, self.settings, sweep=self.results.sweep, tend=engine.tend
        )

    # What a user does

    def add_bead(self, number: int) -> None:
        """Add a bead that may wait for earlier ones, may ask for a role, and may go through a workflow."""
        bead_id = BeadId(f"shop-{len(self.beads) + 1}")
        near = self.beads[-4:]
        targets = [target for place, target in enumerate(near) if number >> place & 1]
        role = ("", *ROLES)[number % 3]
        bead = Bead(id=bead_id, title=f"Do {bead_id}", created_at=self.clock.at, priority=number % 5)
        self.beads.append(bead_id)
        record = BeadRecord(
            bead=bead,
            text=f'{{"id": "{bead_id}", "title": "{bead.title}", "status": "open", "priority": {bead.priority}}}',
            document={"id": bead_id, "title": bead.title, "status": "open", "priority": bead.priority},
            dependencies=tuple(Dependency(issue_id=bead_id, depends_on_id=target) for target in targets),
            role_hint=role,
            workflow="reviewed" if number % 5 < 2 else "",
        )
        self.store.imports.import_records(SHOP, [record])

    def close(self, number: int) -> None:
        """Close a bead by hand, whatever it is doing."""
        bead_id = choose(self.beads, number)
        if bead_id is not None:
            self.allowed(lambda: self.store.edits.close(BeadKey(SHOP, bead_id), "Not wanted."))

    def decide(self, number: int) -> None:
        """Decide one of the open decisions, by one of its options."""
        entry = choose(self.store.decisions.inbox(), number)
        if entry is None:
            return
        options = [option for option in entry.decision.offer.options if option is not Option.SPLIT]
        option = choose(options, number // 7)
        assert option is not None, "a decision has options"
        self.rule(entry.decision.key, option)

    def rule(self, key: BeadKey, option: Option) -> None:
        role = ROLES[0] if option is Option.REASSIGN else ""
        self.allowed(
            lambda: self.store.decisions.decide(key, Ruling(option=option, by="a test", advice="Try.", role=role))
        )

    def pause(self, number: int) -> None:
        self.store.projects.set_paused(SHOP, number % 2 == 0, "A test says so.")

    # What beat, ticker and settler do

    def tick(self, _number: int = 0) -> None:
        self.tick_.run()

    def dispatch(self, _number: int) -> None:
        self.allowed(self.dispatcher.dispatch_once)

    def settle(self, number: int) -> None:
        """Settle a reported run, or one that is not there to be settled."""
        runs = self.store.reading.runs(open_only=True)
        reported = choose([run for run in runs if run.state is RunState.REPORTED], number) or choose(runs, number)
        if reported is not None:
            self.results.settle(reported.id)

    def pass_time(self, number: int) -> None:
        """Let up to two minutes pass in strides, with ticks, heartbeats and renewals of those that live."""
        for _ in range(1 + number % 24):
            self.stride()

    def stride(self) -> None:
        self.clock.advance(STRIDE)
        for worker in self.workers:
            if worker.alive:
                worker.alive = self.store.swarm.heartbeat(worker.id)
        alive = {worker.id for worker in self.workers if worker.alive}
        for started in self.started:
            if started.run.incarnation_id in alive:
                self.store.running.renew(started.run.id, started.token)
        self.tick()

    # What workers do

    def join(self, number: int) -> None:
        """A worker of two agents joins, for one role or both."""
        roles = (ROLES, ROLES[:1], ROLES[1:])[number % 3]
        worker = Incarnation(
            id=IncarnationId(uuid7()),
            node=f"worker{len(self.workers)}@host",
            host="host",
            pid=1,
            version="1",
            queues=tuple(f"role.{role}" for role in roles),
            roles=roles,
            agents=2,
        )
        self.store.swarm.register(worker)
        self.workers.append(Worker(worker.id))

    def die(self, number: int) -> None:
        """A worker dies: it is not heard of any more."""
        worker = choose([worker for worker in self.workers if worker.alive], number)
        if worker is not None:
            worker.alive = False

    def hand_back(self, number: int) -> None:
        """A worker is told to end."""
        worker = choose([worker for worker in self.workers if worker.alive], number)
        if worker is not None:
            self.store.swarm.stop_taking(worker.id)

    def start(self, number: int) -> None:
        """A worker takes a message, perhaps one that was taken before."""
        task: TaskMessage | None = choose(self.bus.tasks, number)
        worker = choose([worker for worker in self.workers if worker.alive], number // 11)
        if task is not None and worker is not None:
            started = self.store.running.start(RunId(task.run_id), worker.id)
            if isinstance(started, StartedRun):
                self.started.append(started)

    def report(self, number: int) -> None:
        """A worker reports what its agent did, perhaps too late or once more."""
        started = choose(self.started, number)
        if started is not None:
            outcome = OUTCOMES[number // 13 % len(OUTCOMES)]
            self.store.running.report(ResultMessage(run_id=started.run.id, token=started.token, outcome=outcome))

    def work(self, number: int) -> None:
        """All that can go goes and is reported and settled, by a worker that lives, with one outcome or another."""
        worker = choose([worker for worker in self.workers if worker.alive], number)
        self.tick()
        if worker is None:
            return
        runs = self.store.reading.runs(open_only=True)
        for place, run in enumerate(run for run in runs if run.state is RunState.PENDING):
            started = self.store.running.start(RunId(run.id), worker.id)
            if isinstance(started, StartedRun):
                self.started.append(started)
                outcome = OUTCOMES[max(0, (number // 7 + place) % (3 * len(OUTCOMES)) - 2 * len(OUTCOMES))]
                self.store.running.report(ResultMessage(run_id=run.id, token=started.token, outcome=outcome))
                self.results.settle(run.id)

    def allowed(self, operation: Callable[[], object]) -> None:
        """Do what may be refused, in a sentence."""
        try:
            operation()
        except DispatchError as refusal:
            self.refusals.append(str(refusal))


def choose(things: Sequence[T], number: int) -> T | None:
    """Return one of the things, by a number; None when there are none."""
    return things[number % len(things)] if things else None
