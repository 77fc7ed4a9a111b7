"""The workflow engine: begins workflows, moves beads on by hand, and sees to those that no run moves on.

What the end of a run means for a bead in a workflow is decided where every outcome is judged (`results.judging`).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import structlog

from dispatch.errors import NotFoundError, RefusedError, UsageError
from dispatch.models.bead import Bead
from dispatch.models.decision import Decision
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.settling import BeadEffect
from dispatch.models.states import BeadEvent
from dispatch.models.workflow import (
    DONE,
    Condition,
    DueBead,
    Execution,
    Node,
    NodeKind,
    Review,
    Verdict,
    Workflow,
    WorkflowMove,
)
from dispatch.ports import MessageBus
from dispatch.results.judging import judge_through
from dispatch.routing import role_names, role_of_persona
from dispatch.settings import Settings, normal_name
from dispatch.settings.nearest import did_you_mean
from dispatch.workflow.library import load_workflows
from dispatch.workflow.moving import times_out

COMMIT_ROLE = "engineering-manager"
"""Who gets commit nodes that name nobody, where that role is served. Source: SPEC, "Routing"."""
SOMEBODY = "somebody"

log = structlog.get_logger(__name__)


class WorkflowTables(Protocol):
    """What the engine needs of the store."""

    def execution(self, key: BeadKey) -> Execution | None: ...
    def due(self) -> list[DueBead]: ...
    def start(self, key: BeadKey, workflow: Workflow, *, again: bool = False) -> Execution | None: ...
    def forget_wish(self, key: BeadKey, problem: str) -> None: ...
    def advance(self, key: BeadKey, condition: Condition, review: Review | None = None) -> WorkflowMove | None: ...
    def time_out(self, key: BeadKey) -> WorkflowMove | None: ...
    def open_approval(self, key: BeadKey) -> Decision | None: ...
    def conclude(self, key: BeadKey, effect: BeadEffect) -> tuple[BeadId, ...] | None: ...


class BeadNames(Protocol):
    """How the engine finds beads."""

    def resolve(self, name: str) -> BeadKey: ...
    def find_bead(self, key: BeadKey) -> Bead | None: ...


class WorkflowStore(Protocol):
    """The part of the store that the engine uses."""

    @property
    def workflows(self) -> WorkflowTables: ...
    @property
    def settling(self) -> BeadNames: ...


class WorkflowEngine:
    """Takes beads through workflows. Its state is in the database: any number of engines may be at work.

    `workflows` are the definitions by name; without them those of the settings and the built-in ones. A bead goes
    through the definition that it began with, also when that is changed meanwhile. Source: SPEC, "Workflows".
    """

    def __init__(
        self,
        store: WorkflowStore,
        settings: Settings,
        *,
        bus: MessageBus | None = None,
        workflows: Mapping[str, Workflow] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._bus = bus
        self._given = workflows

    @cached_property
    def workflows(self) -> Mapping[str, Workflow]:
        """The definitions by name; read when they are first asked for. Raises `BadInputError` for a faulty one."""

        return self._given if self._given is not None else load_workflows(self._settings, role_names(self._settings))

    def start(self, bead: str | Bead, name: str = "", *, again: bool = False) -> Execution:
        """Begin a workflow for a bead: the named one, else the one that it asks for.

        With `again` a bead that is in one begins anew. Raises `NotFoundError`, `UsageError` when no workflow is meant,
        and `RefusedError` when the bead is at work, done, or in a workflow already.
        """
        known = self._bead(bead)
        workflow = self._named(name or known.workflow, known)
        execution = self._store.workflows.start(known.key, self._resolved(workflow), again=again)
        if execution is None:
            where = f"at {known.node} of the workflow {known.workflow} already" if known.node else known.status
            cure = "`--again` begins anew." if known.node else "Only open beads begin a workflow."
            raise RefusedError(problem=f"{known.key} is {where}", cure=cure)
        return execution

    def current_node(self, bead: str | Bead) -> Node | None:
        """Return the node that a bead is at; None: it is in no workflow, or through. Raises `NotFoundError`."""
        execution = self._store.workflows.execution(self._bead(bead).key)
        return execution.current if execution is not None else None

    def advance(self, bead: str | Bead, condition: Condition | str, result: str = "", *, by: str = SOMEBODY) -> str:
        """Move a bead on by a condition, as if its node had come to it; return where it is now.

        `result` is what is said of the work. Raises `NotFoundError`, `UsageError` for a condition that there is not,
        and `RefusedError` while a run is at work or when it is at no node.
        """
        known, taken = self._bead(bead), _condition(condition)
        verdict = Verdict.APPROVED if taken in (Condition.SUCCESS, Condition.APPROVED) else Verdict.REJECTED
        review = Review(node=known.node, by=by, verdict=verdict, summary=result) if result else None
        move = self._store.workflows.advance(known.key, taken, review)
        if move is None:
            where = f"is {known.status}" if known.node else "is at no node of a workflow"
            raise RefusedError(problem=f"{known.key} {where}", cure="Only an open bead in a workflow is moved on.")
        return move.target

    def fail_node(self, bead: str | Bead, error: str, *, by: str = SOMEBODY) -> str:
        """Take the node that a bead is at for failed: it is done again, or its failure edge is taken."""
        return self.advance(bead, Condition.FAILURE, error, by=by)

    def tend(self) -> int:
        """See to beads that no run moves on: they begin, are asked about, time out or are through. Return how many.

        One that cannot be seen to does not keep the others from their turn.
        """
        moved = 0
        for due in self._store.workflows.due():
            try:
                moved += self._tend(due)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next tick looks again, and others go on
                log.warning("a workflow does not go on", bead=str(due.bead.key), cause=repr(error))
        return moved

    def _tend(self, due: DueBead) -> bool:
        bead, execution = due.bead, due.execution
        if not bead.node or execution is None:
            return self._begin(bead)
        node = execution.current
        if execution.node == DONE:
            return self._conclude(bead)
        if due.is_overdue and times_out(node):
            return self._store.workflows.time_out(bead.key) is not None
        return self._store.workflows.open_approval(bead.key) is not None

    def _begin(self, bead: Bead) -> bool:
        workflow = self.workflows.get(bead.workflow) or self._read_again().get(bead.workflow)
        if workflow is None:
            problem = f"there is no workflow {bead.workflow}. {did_you_mean(bead.workflow, self.workflows)}".rstrip()
            self._store.workflows.forget_wish(bead.key, problem)
            return True
        return self._store.workflows.start(bead.key, self._resolved(workflow)) is not None

    def _read_again(self) -> Mapping[str, Workflow]:
        """Read the definitions anew: one may have been added since."""
        del self.workflows
        return self.workflows

    def _conclude(self, bead: Bead) -> bool:
        effect = judge_through(bead, self._settings)
        concluded = self._store.workflows.conclude(bead.key, effect) is not None
        if concluded and effect.event is BeadEvent.RELEASE and self._bus is not None:
            _publish_landing(self._bus, bead.project_id)
        return concluded

    def _bead(self, bead: str | Bead) -> Bead:
        records = self._store.settling
        key = bead.key if isinstance(bead, Bead) else records.resolve(bead)
        found = records.find_bead(key)
        if found is None:
            raise NotFoundError(thing="bead", name=str(key), cure="See `dispatch ready --all --project ID`.")
        return found

    def _named(self, name: str, bead: Bead) -> Workflow:
        if not name:
            raise UsageError(
                problem=f"{bead.key} asks for no workflow", cure=f"Name one: {', '.join(sorted(self.workflows))}."
            )
        workflow = self.workflows.get(name)
        if workflow is None:
            meant = did_you_mean(name, self.workflows)
            there = f"There are: {', '.join(sorted(self.workflows))}."
            raise UsageError(problem=f'There is no workflow "{name}"', cure=f"{meant} {there}".strip())
        return workflow

    def _resolved(self, workflow: Workflow) -> Workflow:
        """Return a definition whose nodes name roles, where they named personas and aliases."""
        return replace(workflow, nodes={name: self._with_role(node) for name, node in workflow.nodes.items()})

    def _with_role(self, node: Node) -> Node:
        name = node.role or (COMMIT_ROLE if node.kind is NodeKind.COMMIT else "")
        return replace(node, role=role_of_persona(normal_name(name), self._settings)) if name else node


def _condition(written: Condition | str) -> Condition:
    try:
        return Condition(written)
    except ValueError as unknown:
        cure = f"There are: {', '.join(Condition)}."
        raise UsageError(problem=f'There is no condition "{written}"', cure=cure) from unknown


def _publish_landing(bus: MessageBus, project_id: ProjectId) -> None:
    publish: Callable[[ProjectId], None] = bus.publish_landing
    try:
        publish(project_id)
    except Exception as error:  # noqa: BLE001 - brokers fail in many ways; a tick asks again
        log.warning("the bus did not take a message", what="a landing", cause=repr(error))
