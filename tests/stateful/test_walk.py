"""Random operations from several threads at once: what must hold after every step, and nothing is stuck forever."""

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, text

from dispatch.cli.explaining import Explainer
from dispatch.models.decision import Option
from dispatch.models.identity import BeadKey, RunId
from dispatch.models.messages import ResultMessage
from dispatch.models.outcome import Completed
from dispatch.models.states import RunState
from dispatch.settings import Settings
from dispatch.store import FixedClock, StartedRun, Store, make_engine
from tests.conftest import NOON, RecordingBus
from tests.stateful.machine import ROLES, SHOP, World

NUMBERS = st.integers(min_value=0, max_value=2**16)
OPERATIONS = st.sampled_from(
    [
        *(World.start, World.report, World.settle, World.work) * 3,
        *(World.tick, World.dispatch, World.decide, World.pass_time) * 2,
        *(World.add_bead, World.close, World.die, World.hand_back, World.pause, World.restart),
    ]
)
EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "8"))
"""Deployments that are driven; told how many (`make stateful`), other ones each time."""
ROUNDS_TO_THE_END = 120
"""Strides within which everything has to be over once nothing goes wrong any more: ten minutes."""

_NEVER: dict[str, str] = {
    "a bead with two open steps": """
        SELECT project_id, bead_id FROM steps WHERE state = 'open' GROUP BY 1, 2 HAVING count(*) > 1""",
    "an agent with two open runs": """
        SELECT agent_id FROM runs WHERE agent_id IS NOT NULL AND state IN ('pending', 'running', 'reported')
        GROUP BY 1 HAVING count(*) > 1""",
    "a bead that was closed twice": """
        SELECT bead_id FROM events WHERE kind = 'bead.closed' GROUP BY 1 HAVING count(*) > 1""",
    "a running run without a lease": """
        SELECT id FROM runs WHERE state = 'running' AND (lease_until IS NULL OR token IS NULL)""",
    "a bead in progress without an open step, or the other way round": """
        SELECT beads.id FROM beads LEFT JOIN steps ON steps.project_id = beads.project_id AND steps.bead_id = beads.id
            AND steps.state = 'open'
        WHERE (beads.status = 'in_progress') <> (steps.id IS NOT NULL) AND beads.status NOT IN ('closed')""",
    "a busy agent without an open run": """
        SELECT agents.id FROM agents WHERE state IN ('reserved', 'working') AND NOT EXISTS (
            SELECT FROM runs WHERE runs.agent_id = agents.id AND runs.state IN ('pending', 'running', 'reported'))""",
    "an idle agent with a run that works": """
        SELECT agents.id FROM agents JOIN runs ON runs.agent_id = agents.id
        WHERE agents.state = 'idle' AND runs.state IN ('pending', 'running')""",
    "a bead with two open decisions": """
        SELECT decisions.bead_id FROM decisions JOIN beads ON beads.project_id = decisions.project_id
            AND beads.id = decisions.id
        WHERE decisions.ruled_at IS NULL AND beads.status = 'open' GROUP BY 1 HAVING count(*) > 1""",
    "a bead at a node that is nobody's turn": """
        SELECT id FROM beads WHERE node <> '' AND turn NOT IN ('engine', 'agent', 'human')""",
    "a bead that is elsewhere than its workflow": """
        SELECT beads.id FROM beads JOIN executions ON executions.project_id = beads.project_id
            AND executions.bead_id = beads.id
        WHERE executions.ended_at IS NULL AND executions.node <> beads.node""",
    "a bead that is done, and in a workflow": """
        SELECT beads.id FROM beads LEFT JOIN executions ON executions.project_id = beads.project_id
            AND executions.bead_id = beads.id
        WHERE status = 'closed' AND (beads.node <> '' OR (executions.bead_id IS NOT NULL AND ended_at IS NULL))""",
    "an approval that is asked for and goes to an agent": """
        SELECT beads.id FROM beads JOIN steps ON steps.project_id = beads.project_id AND steps.bead_id = beads.id
        WHERE turn = 'human' AND steps.state = 'open'""",
    "an approval that waits without an entry in the inbox, where no tick finds it": """
        SELECT id FROM beads WHERE status = 'open' AND turn = 'human' AND blocked AND NOT EXISTS (
            SELECT FROM decisions WHERE decisions.bead_id = beads.id AND decisions.ruled_at IS NULL)""",
    "a reviewer that writes": """
        SELECT runs.id FROM runs JOIN steps ON steps.id = runs.step_id WHERE steps.size > 1 AND runs.writes_branch""",
    "a bead that went round oftener than a human let it": """
        SELECT bead_id FROM executions WHERE cycles > 3""",
    "a run that was settled twice": """
        SELECT run_id FROM events WHERE kind = 'run.settled' GROUP BY 1 HAVING count(*) > 1""",
}


class Machine(RuleBasedStateMachine):
    """One deployment a run; `make` gives it a database of its own."""

    make: ClassVar[Callable[[], tuple[World, Callable[[], None]]]]

    def __init__(self) -> None:
        super().__init__()
        self.world, self._give_back = type(self).make()

    @initialize(numbers=st.lists(NUMBERS, min_size=3, max_size=8))
    def begin(self, numbers: list[int]) -> None:
        self.world.join(0)
        for number in numbers:
            self.world.add_bead(number)
        for _ in range(10):  # until the rescue is armed
            self.world.stride()

    @rule(operation=OPERATIONS, number=NUMBERS)
    def one(self, operation: Callable[[World, int], None], number: int) -> None:
        operation(self.world, number)

    @rule(number=NUMBERS)
    def join(self, number: int) -> None:
        self.world.join(number)

    @rule(operations=st.lists(st.tuples(OPERATIONS, NUMBERS), min_size=2, max_size=4))
    def several_at_once(self, operations: list[tuple[Callable[[World, int], None], int]]) -> None:
        barrier = Barrier(len(operations))

        def do(operation: Callable[[World, int], None], number: int) -> None:
            barrier.wait(30)
            operation(self.world, number)

        with ThreadPoolExecutor(len(operations)) as pool:
            for done in [pool.submit(do, *each) for each in operations]:
                done.result()

    @invariant()
    def nothing_is_as_it_must_never_be(self) -> None:
        with self.world.store.units.read() as tx:
            for what, statement in _NEVER.items():
                found = tx.connection.execute(text(statement)).all()
                assert not found, f"{what}: {found}"

    @invariant()
    def every_bead_that_does_not_go_has_a_reason(self) -> None:
        explainer = Explainer(self.world.store, self.world.settings)
        for bead_id in self.world.beads:
            reason = explainer.why(self.world.store.reading.bead(BeadKey(SHOP, bead_id)))
            assert reason.endswith("."), reason
        assert all(refusal.endswith(".") for refusal in self.world.refusals), self.world.refusals

    def teardown(self) -> None:
        try:
            self._work_to_the_end()
            self.nothing_is_as_it_must_never_be()
        finally:
            self._give_back()

    def _work_to_the_end(self) -> None:
        """Nothing is stuck forever: with a worker that does what it is given, and a human who answers, all ends."""
        world = self.world
        world.pause(1)
        world.join(0)
        helper = world.workers[-1]
        for _ in range(ROUNDS_TO_THE_END):
            if not self._unfinished():
                return
            world.stride()
            for entry in world.store.decisions.inbox():
                options = entry.decision.offer.options
                wanted = (Option.ANSWER, Option.APPROVE, Option.RETRY)
                world.rule(entry.decision.key, next(option for option in wanted if option in options))
            for run in world.store.reading.runs(open_only=True):
                if run.state is RunState.PENDING:
                    started = world.store.running.start(RunId(run.id), helper.id)
                    if isinstance(started, StartedRun):
                        world.started.append(started)
            self._all_report()
        reasons = {bead_id: self._why(bead_id) for bead_id in self._unfinished()}
        raise AssertionError(f"stuck: {reasons}")

    def _all_report(self) -> None:
        """Every agent of a worker that lives is done, and its message reaches the settler."""
        world = self.world
        alive = {worker.id for worker in world.workers if worker.alive}
        for started in world.started:
            done = ResultMessage(run_id=started.run.id, token=started.token, outcome=Completed(nothing_to_do=True))
            if started.run.incarnation_id in alive and world.store.running.report(done):
                world.results.settle(started.run.id)

    def _unfinished(self) -> list[Any]:
        world = self.world
        return [
            bead_id for bead_id in world.beads if world.store.reading.bead(BeadKey(SHOP, bead_id)).status != "closed"
        ]

    def _why(self, bead_id: Any) -> str:
        return Explainer(self.world.store, self.world.settings).why(
            self.world.store.reading.bead(BeadKey(SHOP, bead_id))
        )


@pytest.fixture
def make(maintenance: Engine, servers: Any, tmp_path: Any) -> Callable[[], tuple[World, Callable[[], None]]]:
    """Given a way to make a world with a fresh database, and to give it back."""

    def make_one() -> tuple[World, Callable[[], None]]:
        name = f"machine_{uuid.uuid4().hex}"
        with maintenance.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE dispatch_template"))
        url = servers.database_url.replace("/dispatch?", f"/{name}?")
        clock = FixedClock(NOON)
        store = Store(make_engine(url, pool_size=8), lease=timedelta(seconds=45), clock=clock)
        roles = {role: {} for role in ROLES}
        configured = Settings.model_validate({"home": tmp_path / "home", "roles": roles})
        world = World(store, clock, configured, RecordingBus())

        def give_back() -> None:
            store.close()
            with maintenance.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

        return world, give_back

    return make_one


@pytest.mark.timeout(60 + 60 * EXAMPLES)
def test_whatever_happens_at_once_nothing_is_done_twice_and_nothing_is_stuck(make: Any) -> None:
    machine = type("TheMachine", (Machine,), {"make": staticmethod(make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            derandomize="STATEFUL_EXAMPLES" not in os.environ,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
