"""A bead in a workflow, from node to node: the database keeps where it is, whatever happens."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.errors import NotFoundError, RefusedError, UsageError
from dispatch.models.decision import EscalationKind, Option, Ruling
from dispatch.models.identity import BeadKey, IncarnationId
from dispatch.models.landing import Conflict, Landed
from dispatch.models.messages import ResultMessage
from dispatch.models.outcome import Cancelled, Completed, Failed, Lost, NeedsInput, Outcome, TimedOut
from dispatch.models.run import Run
from dispatch.models.settling import Settled
from dispatch.models.states import BeadStatus
from dispatch.models.workflow import DONE, Condition, Node, NodeKind, Verdict, Workflow
from dispatch.results import ResultHandler, WorkflowEngine
from dispatch.routing import role_names
from dispatch.workflow.library import read_text
from tests.conftest import RecordingBus, Scene

GOOD, BAD = Completed(verdict="approved", summary="Good."), Completed(verdict="rejected", summary="No test.")
WORK = Completed(summary="It is done.")

REVIEWED = Workflow(
    name="reviewed",
    start="implement",
    nodes={
        "implement": Node(name="implement", role="dev", edges={Condition.SUCCESS: "review"}),
        "review": Node(
            name="review",
            kind=NodeKind.VERIFY,
            role="qa",
            reviewers=2,
            edges={Condition.APPROVED: DONE, Condition.REJECTED: "implement"},
        ),
    },
)
APPROVED = Workflow(
    name="approved",
    start="implement",
    nodes={
        "implement": Node(name="implement", role="dev", edges={Condition.SUCCESS: "approve"}),
        "approve": Node(
            name="approve",
            kind=NodeKind.APPROVAL,
            instructions="Is it what you wanted?",
            timeout=timedelta(hours=2),
            edges={Condition.APPROVED: DONE, Condition.REJECTED: "implement", Condition.TIMEOUT: "commit"},
        ),
        "commit": Node(name="commit", kind=NodeKind.COMMIT, edges={Condition.SUCCESS: DONE}),
    },
)


class Flow:
    """A deployment by hand: an engine with two workflows, a dispatcher, and what runs report."""

    def __init__(self, scene: Scene, bus: RecordingBus) -> None:
        self.scene = scene
        self.bus = bus
        workflows = {workflow.name: workflow for workflow in (REVIEWED, APPROVED)}
        self.engine = WorkflowEngine(scene.store, scene.settings, bus=bus, workflows=workflows)
        self.dispatcher = Dispatcher(scene.store, bus, scene.settings)
        self.results = ResultHandler(scene.store, bus, scene.settings)
        self.tick = Tick(
            scene.store, self.dispatcher, bus, scene.settings, sweep=self.results.sweep, tend=self.engine.tend
        )
        self.worker = scene.worker(roles=("dev", "qa"), agents=3)

    def node(self, key: BeadKey) -> str:
        return self.scene.read(key).node

    def dispatched(self, worker: IncarnationId | None = None) -> list[Run]:
        """Dispatch what can go, start it, and return the runs."""
        self.dispatcher.dispatch()
        pending = self.scene.store.reading.runs(open_only=True)
        return [self.scene.start(run.id, worker or self._of(run)).run for run in reversed(pending)]

    def _of(self, run: Run) -> IncarnationId:
        assert run.incarnation_id is not None
        return run.incarnation_id

    def end(self, runs: Sequence[Run], outcomes: Sequence[Outcome], commit: str | None = None) -> Settled | None:
        """Report and settle runs, in their order; return the last settle."""
        last = None
        for run, outcome in zip(sorted(runs, key=lambda one: one.index), outcomes, strict=True):
            assert self.scene.store.running.report(report_of(run, outcome, commit))
            last = self.results.settle(run.id)
        return last

    def do(self, *outcomes: Outcome, commit: str | None = None) -> Settled | None:
        """Take the next step through, one outcome a run."""
        return self.end(self.dispatched(), outcomes, commit)

    def decide(self, key: BeadKey, option: Option, advice: str = "") -> None:
        decision = self.scene.store.decisions.find(str(key))
        self.scene.store.decisions.decide(decision.key, Ruling(option=option, by="ada", advice=advice))


def report_of(run: Run, outcome: Outcome, commit: str | None) -> Any:
    return ResultMessage(run_id=run.id, token=run.token, outcome=outcome, base_sha=run.base_sha, commit_sha=commit)


@pytest.fixture
def flow(scene: Scene, bus: RecordingBus) -> Flow:
    return Flow(scene, bus)


def test_a_bead_goes_through_its_nodes_to_the_end(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")

    flow.do(WORK)
    assert flow.node(key) == "review"
    reviews = flow.dispatched()

    assert [run.role for run in reviews] == ["qa", "qa"]
    assert {run.writes_branch for run in reviews} == {False}
    assert len({run.step_id for run in reviews}) == 1
    flow.end(reviews, [GOOD, GOOD])
    bead = scene.read(key)
    assert (bead.status, bead.node, bead.workflow) == (BeadStatus.CLOSED, "", "")
    moves = [event.data for event in scene.events("workflow.moved")]
    assert [(move["source"], move["target"], move["condition"]) for move in moves] == [
        ("implement", "review", "success"),
        ("review", DONE, "approved"),
    ]
    assert moves[1]["votes"] == {"approved": 2, "rejected": 0, "silent": 0}


@pytest.mark.parametrize("page", ["README.md", "docs/workflows.md"])
def test_the_example_of_a_page_takes_a_bead_to_its_end(flow: Flow, scene: Scene, page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    example = next(block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[nodes." in block)
    workflow = read_text(page, example, role_names(scene.settings)).workflow
    assert workflow is not None
    roles = {node.role for node in workflow.nodes.values() if node.role}
    scene.worker("all@host", roles=(*sorted(roles), "engineering-manager"), agents=3)
    key = scene.bead()
    engine = WorkflowEngine(scene.store, scene.settings, bus=flow.bus, workflows={workflow.name: workflow})
    engine.start(str(key), workflow.name)

    for _ in range(10):
        node = engine.current_node(str(key))
        if node is None:
            break
        if node.kind is NodeKind.APPROVAL:
            flow.decide(key, Option.APPROVE)
        else:
            runs = flow.dispatched()
            flow.end(runs, [GOOD if node.kind is NodeKind.VERIFY else WORK] * len(runs))
    engine.tend()

    assert scene.read(key).status == BeadStatus.CLOSED


def test_a_rejected_change_goes_back_and_the_next_run_can_be_told_why(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")
    flow.do(WORK)

    settled = flow.do(GOOD, BAD)

    execution = scene.store.workflows.execution(key)
    assert settled is not None
    assert settled.effect is not None
    assert settled.effect.reason == (
        "Its node review came to rejected (1 approved, 1 rejected); it goes on at implement."
    )
    assert execution is not None
    assert (execution.node, execution.cycles) == ("implement", 1)
    assert [(review.verdict, review.summary) for review in execution.reviews] == [
        (Verdict.APPROVED, "Good."),
        (Verdict.REJECTED, "No test."),
    ]


def test_a_lost_reviewer_is_made_up_for_by_the_others_or_the_step_is_done_again(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")
    flow.do(WORK)

    flow.do(GOOD, Lost())
    assert flow.node(key) == "review"
    assert scene.read(key).hops == 1

    flow.do(GOOD, GOOD)
    assert scene.read(key).status == BeadStatus.CLOSED


def test_a_failing_node_is_done_again_and_then_a_human_is_asked(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")

    for _ in range(3):
        flow.do(Failed(cause="red tests"))
        scene.clock.advance(timedelta(minutes=10))
        scene.store.swarm.heartbeat(flow.worker)

    decision = scene.store.decisions.find(str(key))
    assert decision.kind is EscalationKind.WORKFLOW
    assert decision.detail == "Its node implement came to failure 3 times, and no edge leads on."
    assert decision.errors
    flow.decide(key, Option.RETRY, "Look at the fixture.")
    execution = scene.store.workflows.execution(key)
    assert execution is not None
    assert (execution.node, execution.attempts) == ("implement", 0)
    flow.do(WORK)
    assert flow.node(key) == "review"


def test_going_round_too_often_asks_a_human(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")

    for _ in range(4):
        flow.do(WORK)
        flow.do(BAD, BAD)

    decision = scene.store.decisions.find(str(key))
    assert decision.detail == "It came back to implement 4 times, and 3 times is allowed."
    assert scene.read(key).blocked


def test_an_agents_question_keeps_the_node(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")

    flow.do(NeedsInput(question="Which database?"))

    assert scene.store.decisions.find(str(key)).kind is EscalationKind.QUESTION
    flow.decide(key, Option.ANSWER, "PostgreSQL.")
    assert flow.node(key) == "implement"
    flow.do(WORK)
    assert flow.node(key) == "review"


def test_a_step_that_was_ended_from_outside_does_not_count(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")

    flow.do(Cancelled(cause="handback"))

    execution = scene.store.workflows.execution(key)
    assert execution is not None
    assert (execution.node, execution.attempts) == ("implement", 0)
    assert scene.read(key).failures == 0


def test_an_approval_waits_in_the_inbox_and_its_answer_leads_on(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "approved")
    flow.do(WORK)

    decision = scene.store.decisions.find(str(key))
    assert decision.kind is EscalationKind.APPROVAL
    assert decision.offer.options == (Option.APPROVE, Option.REJECT, Option.CLOSE)
    assert "Is it what you wanted?" in decision.detail
    flow.decide(key, Option.REJECT, "The colour is wrong.")

    execution = scene.store.workflows.execution(key)
    assert execution is not None
    assert (execution.node, execution.reviews[0].by, execution.reviews[0].summary) == (
        "implement",
        "ada",
        "The colour is wrong.",
    )
    flow.do(WORK)
    flow.decide(key, Option.APPROVE)
    assert flow.node(key) == DONE
    flow.tick.run()
    assert scene.read(key).status == BeadStatus.CLOSED


def test_an_approval_that_nobody_gives_in_time_takes_its_timeout_edge(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "approved")
    flow.do(WORK)

    scene.clock.advance(timedelta(minutes=119))
    assert flow.engine.tend() == 0
    scene.clock.advance(timedelta(minutes=2))
    assert flow.engine.tend() == 1

    assert flow.node(key) == "commit"
    assert scene.store.decisions.inbox() == []
    assert not scene.read(key).blocked


def test_closing_the_decision_by_hand_approves(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "approved")
    flow.do(WORK)
    decision = scene.store.decisions.find(str(key))

    scene.store.edits.close(decision.key, "Fine.", by="ada")

    assert flow.node(key) == DONE


def test_an_approval_whose_decision_is_gone_is_asked_for_again(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "approved")
    flow.do(WORK)
    scene.value("WITH gone AS (DELETE FROM dependencies RETURNING 1) UPDATE beads SET blocked = false RETURNING 1")
    scene.value('UPDATE decisions SET ruled_at = now(), ruling = \'{"option": "moot"}\' RETURNING 1')

    assert flow.engine.tend() == 1

    assert scene.read(key).blocked
    assert [entry.decision.kind for entry in scene.store.decisions.inbox()] == [EscalationKind.APPROVAL]


def test_a_commit_node_goes_to_the_engineering_manager_where_that_is_served(flow: Flow, scene: Scene) -> None:
    key = scene.bead(role="qa")
    flow.engine.start(str(key), "approved")
    scene.store.workflows.advance(key, Condition.SUCCESS)
    scene.store.workflows.advance(key, Condition.TIMEOUT)
    assert scene.read(key).role_hint == "qa"

    other = scene.bead("shop-2")
    scene.worker("two@host", roles=("engineering-manager",))
    flow.engine.start(str(other), "approved")
    scene.store.workflows.advance(other, Condition.SUCCESS)
    scene.store.workflows.advance(other, Condition.TIMEOUT)
    assert scene.read(other).role_hint == "engineering-manager"


def test_the_work_lands_at_the_end_and_a_refused_landing_goes_back_to_whom_wrote_it(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")
    flow.do(WORK, commit="c" * 40)

    flow.do(GOOD, GOOD)
    assert (scene.read(key).status, flow.node(key)) == (BeadStatus.LANDING, DONE)
    flow.results.landed(scene.read(key), Conflict(output="CONFLICT in a.py"))
    scene.clock.advance(timedelta(minutes=1))
    scene.store.swarm.heartbeat(flow.worker)
    assert (scene.read(key).status, flow.node(key)) == (BeadStatus.OPEN, "implement")

    flow.do(WORK, commit="d" * 40)
    flow.do(GOOD, GOOD)
    flow.results.landed(scene.read(key), Landed(sha="e" * 40, previous_sha="f" * 40))
    execution = scene.store.workflows.execution(key)
    assert execution is not None
    assert execution.ended_at is not None
    assert scene.read(key).status == BeadStatus.CLOSED


def test_work_that_was_approved_by_a_human_lands_with_the_next_tick(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "approved")
    flow.do(WORK, commit="c" * 40)
    flow.decide(key, Option.APPROVE)

    flow.tick.run()

    assert scene.read(key).status == BeadStatus.LANDING
    assert key.project_id in flow.bus.landings


def test_fewer_reviewers_than_asked_for_look_where_there_are_never_so_many(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")
    flow.do(WORK)
    scene.store.swarm.leave(flow.worker)
    alone = scene.worker("alone@host", roles=("qa",))

    runs = flow.dispatched(alone)

    assert len(runs) == 1
    flow.end(runs, [GOOD])
    assert scene.read(key).status == BeadStatus.CLOSED


def test_a_bead_that_asks_for_a_workflow_begins_it_with_the_next_tick(flow: Flow, scene: Scene) -> None:
    key = scene.bead(workflow="reviewed")
    assert flow.dispatcher.dispatch() == []

    flow.tick.run()

    assert flow.node(key) == "implement"
    assert [task.bead_id for task in flow.bus.tasks] == [key.bead_id]


def test_a_bead_that_asks_for_an_unknown_workflow_goes_without_one_and_says_so(flow: Flow, scene: Scene) -> None:
    key = scene.bead(workflow="reviewd")

    flow.engine.tend()

    bead = scene.read(key)
    assert (bead.workflow, bead.role_problem) == ("", 'there is no workflow reviewd. Did you mean "reviewed"?')
    assert len(flow.dispatcher.dispatch()) == 1


def test_an_import_leaves_a_bead_where_it_is_in_its_workflow(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")

    scene.bead(role="docs", title="Do it well", updated_at=scene.clock.at + timedelta(days=1))

    bead = scene.read(key)
    assert (bead.node, bead.role_hint, bead.title) == ("implement", "dev", "Do it well")


def test_closing_a_bead_by_hand_ends_its_workflow(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "approved")
    flow.do(WORK)

    scene.store.edits.close(key, "Not wanted.")

    execution = scene.store.workflows.execution(key)
    assert execution is not None
    assert execution.ended_at is not None
    assert flow.engine.current_node(str(key)) is None
    assert scene.store.decisions.inbox() == []


def test_by_hand_a_bead_is_moved_on_failed_and_begun_anew(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(scene.read(key), "reviewed")

    assert flow.engine.advance(str(key), "success", "I did it myself.", by="ada") == "review"
    assert flow.engine.fail_node(str(key), "It does not start.") == "review"
    node = flow.engine.current_node(str(key))
    assert node is not None
    assert node.name == "review"
    with pytest.raises(RefusedError, match="is at review of the workflow reviewed already"):
        flow.engine.start(str(key), "approved")
    assert flow.engine.start(str(key), "approved", again=True).node == "implement"


def test_what_cannot_be_done_by_hand_is_refused_in_a_sentence(flow: Flow, scene: Scene) -> None:
    key = scene.bead()

    with pytest.raises(UsageError, match='There is no workflow "reviewd"'):
        flow.engine.start(str(key), "reviewd")
    with pytest.raises(UsageError, match="asks for no workflow"):
        flow.engine.start(str(key))
    with pytest.raises(UsageError, match='There is no condition "maybe"'):
        flow.engine.advance(str(key), "maybe")
    with pytest.raises(RefusedError, match="is at no node of a workflow"):
        flow.engine.advance(str(key), "success")
    with pytest.raises(NotFoundError):
        flow.engine.start("shop-77", "reviewed")
    flow.engine.start(str(key), "reviewed")
    flow.dispatched()
    with pytest.raises(RefusedError, match="is in_progress"):
        flow.engine.advance(str(key), "success")


def test_a_run_that_timed_out_counts_as_a_failure_without_an_edge_of_its_own(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    flow.engine.start(str(key), "reviewed")

    flow.do(TimedOut(limit_seconds=60))

    execution = scene.store.workflows.execution(key)
    assert execution is not None
    assert (execution.node, execution.attempts) == ("implement", 1)


def test_the_timeout_of_a_node_is_that_of_its_runs(flow: Flow, scene: Scene) -> None:
    key = scene.bead()
    node = Node(name="fix", timeout=timedelta(minutes=7), edges={Condition.SUCCESS: DONE})
    scene.store.workflows.start(key, Workflow(name="w", start="fix", nodes={"fix": node}))

    (run,) = flow.dispatched()

    assert run.timeout == timedelta(minutes=7)


def test_two_engines_at_once_begin_a_workflow_once(flow: Flow, scene: Scene, at_once: Any) -> None:
    key = scene.bead(workflow="reviewed")

    done = at_once([flow.engine.tend] * 8)

    assert sum(done) == 1, done
    assert len(scene.events("workflow.started")) == 1
    assert flow.node(key) == "implement"
