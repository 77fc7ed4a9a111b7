"""What an agent is told, made from what the store gave out at the start of its run."""

from pathlib import Path
from typing import Any

from dispatch.context import memories_in_words, readable
from dispatch.loops import near_limit
from dispatch.models.messages import (
    AssignedBead,
    AssignedNode,
    AssignedProject,
    AssignedReview,
    AssignedSession,
    Assignment,
    FinishedDependency,
    HumanAdvice,
    PastError,
)
from dispatch.models.workflow import Execution
from dispatch.routing import role_instructions
from dispatch.settings import Settings
from dispatch.store import StartedRun
from workers.agents_file import read_agents_file


def make_assignment(
    started: StartedRun, workspace: Path, settings: Settings, session: AssignedSession | None = None
) -> Assignment:
    """Return the assignment of a run that was started, for an agent that works in `workspace`.

    `session` is the bead's conversation, as the runner of the run can go on with it.
    """
    run, bead = started.run, started.bead
    project = settings.project(run.project_id)
    return Assignment(
        run_id=run.id,
        attempt=run.attempt,
        role=run.role,
        instructions=role_instructions(run.role, settings),
        timeout_seconds=run.timeout.total_seconds(),
        workspace=workspace,
        project=AssignedProject(
            id=run.project_id,
            target_branch=project.target_branch,
            test_command=project.test_command,
            build_command=project.build_command,
            agents_md=read_agents_file(workspace),
        ),
        bead=AssignedBead(
            id=bead.id,
            title=bead.title,
            description=bead.description,
            design=_text(started.document, "design"),
            acceptance_criteria=_text(started.document, "acceptance_criteria"),
            notes=_text(started.document, "notes"),
            priority=bead.priority,
            issue_type=bead.issue_type,
            labels=bead.labels,
            metadata=dict(bead.metadata),
        ),
        dependencies=tuple(
            FinishedDependency(id=other.id, title=other.title, status=other.status, close_reason=other.close_reason)
            for other in started.dependencies
        ),
        errors=tuple(
            PastError(timestamp=error.timestamp, error=error.error, dispatch=error.dispatch) for error in started.errors
        ),
        advice=tuple(
            HumanAdvice(timestamp=told.at, by=told.by, asked=told.asked, advice=told.advice) for told in started.advice
        ),
        warnings=near_limit(bead.hops, settings.guards.max_dispatch_hops, bead.hop_allowance),
        memory=memories_in_words(started.memories),
        lessons=started.lessons,
        workflow=_node(started.execution),
        session=session,
    )


def _node(execution: Execution | None) -> AssignedNode | None:
    """Return what a run is told of its bead's workflow; None when it is in none, or through with it."""
    node = execution.current if execution is not None else None
    if execution is None or node is None:
        return None
    reviews = (
        AssignedReview(node=review.node, by=review.by, verdict=review.verdict, summary=review.summary)
        for review in execution.reviews
    )
    return AssignedNode(
        workflow=execution.workflow.name,
        node=node.name,
        kind=node.kind,
        instructions=node.instructions,
        attempt=execution.attempts + 1,
        cycle=execution.cycles + 1,
        reviewers=node.reviewers,
        reviews=tuple(reviews),
    )


def _text(document: dict[str, Any], field: str) -> str:
    value = document.get(field)
    return readable(value) if isinstance(value, str) else ""
