"""What `up --limit`, `--label` and `--until-idle` look at, on a real database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dispatch.cli.idleness import is_idle
from dispatch.cli.selection import Selection, selective_tick
from dispatch.exchange import NewBead, add_bead
from dispatch.models.agent import Incarnation
from dispatch.models.bead import Bead
from dispatch.models.identity import IncarnationId, ProjectId, RunId, uuid7
from dispatch.models.messages import TaskMessage
from dispatch.models.project import Project
from dispatch.settings import Fallback, Settings
from dispatch.store import Store
from dispatch.wiring import wire


class RecordingBus:
    """A bus that keeps what it is given."""

    def __init__(self) -> None:
        self.tasks: list[TaskMessage] = []

    def publish_task(self, project_id: ProjectId, task: TaskMessage) -> None:
        self.tasks.append(task)

    def publish_task_for_role(self, project_id: ProjectId, role: str, task: TaskMessage) -> None:
        self.tasks.append(task)

    def publish_step(self, project_id: ProjectId, tasks: Sequence[TaskMessage]) -> None:
        self.tasks += tasks

    def publish_settle(self, run_id: RunId) -> None:
        pass

    def publish_landing(self, project_id: ProjectId) -> None:
        pass

    def publish_nudge(self) -> None:
        pass

    def close(self) -> None:
        """Nothing is held."""


def serve(store: Store, agents: int) -> None:
    """Register a worker with idle agents."""
    store.swarm.register(
        Incarnation(
            id=IncarnationId(uuid7()),
            node="agents@here",
            host="here",
            pid=1,
            version="0",
            queues=("role.backend-engineer",),
            roles=("backend-engineer",),
            agents=agents,
        )
    )


def make(store: Store, project: Project, *titles: str, **fields: object) -> list[Bead]:
    return [
        add_bead(store, project, NewBead(title=title, **fields), created_by="me", now=datetime.now(UTC))  # type: ignore[arg-type]
        for title in titles
    ]


def test_a_limit_holds_exactly_though_more_agents_are_idle(store: Store, project: Project, settings: Settings) -> None:
    make(store, project, "one", "two", "three", "four")
    serve(store, agents=4)
    bus = RecordingBus()
    selection = Selection(limit=2)
    system = wire(settings, store, bus)
    for _ in range(3):
        selective_tick(system, selection).run()
    assert len({task.bead_id for task in bus.tasks}) == 2
    assert selection.room == 0


def test_a_labelled_bead_is_found_behind_others_of_its_role(store: Store, project: Project, settings: Settings) -> None:
    make(store, project, *(f"bead {number}" for number in range(6)), priority=0)
    (wanted,) = make(store, project, "wanted", labels=("now",), priority=4)
    serve(store, agents=1)
    bus = RecordingBus()
    selective_tick(wire(settings, store, bus), Selection(label="now")).run()
    assert [task.bead_id for task in bus.tasks] == [wanted.id]


def test_a_begun_bead_is_gone_on_with_when_the_limit_is_reached(
    store: Store, project: Project, settings: Settings
) -> None:
    first, second = make(store, project, "one", "two")
    serve(store, agents=1)
    selection = Selection(limit=1)
    selective_tick(wire(settings, store, RecordingBus()), selection).run()
    assert selection.takes(first)
    assert not selection.takes(second)


def test_a_deployment_is_idle_only_when_no_bead_can_go(store: Store, project: Project, settings: Settings) -> None:
    everything = lambda bead: True  # noqa: E731
    assert is_idle(store, settings, everything)
    make(store, project, "for a human", labels=("human",))
    make(store, project, "for a role that nobody serves", role="poet")
    assert not is_idle(store, settings, everything), "after a while any agent will take it"
    waits = settings.dispatch.model_copy(update={"fallback": Fallback.WAIT})
    settings = settings.model_copy(update={"dispatch": waits})
    assert is_idle(store, settings, everything)
    (bead,) = make(store, project, "for anyone")
    assert not is_idle(store, settings, everything)
    assert is_idle(store, settings, lambda other: other.id != bead.id)
    store.projects.set_paused(project.id, True, "lunch")
    assert is_idle(store, settings, everything)


def test_an_open_run_keeps_a_deployment_from_being_idle(store: Store, project: Project, settings: Settings) -> None:
    make(store, project, "one")
    serve(store, agents=1)
    assert wire(settings, store, RecordingBus()).dispatcher.dispatch_once().dispatched
    assert store.reading.ready(project.id) == []
    assert not is_idle(store, settings, lambda bead: True)
