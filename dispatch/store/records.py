"""Rows to models."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row

from dispatch.models.agent import Agent, Incarnation
from dispatch.models.bead import Bead
from dispatch.models.decision import Decision, EscalationKind, Offer, Option, Ruling
from dispatch.models.event import Event
from dispatch.models.guarding import Spent
from dispatch.models.identity import AgentId, BeadId, IncarnationId, ProjectId, RunId, StepId
from dispatch.models.outcome import OUTCOME
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.project import Project
from dispatch.models.run import ErrorRecord, Run
from dispatch.models.settling import Escalation
from dispatch.models.states import AgentState, RunState, StopReason
from dispatch.store import schema

_RUN_COLUMNS = tuple(column.name for column in schema.runs.columns)


def bead(row: Row[Any]) -> Bead:
    """A row of `beads` as a model; texts that no query needs come out of the stored document."""
    texts = document(row)
    metadata = texts.get("metadata")
    return Bead(
        id=BeadId(row.id),
        project_id=ProjectId(row.project_id),
        title=row.title,
        description=texts.get("description") or "",
        status=row.status,
        priority=row.priority,
        issue_type=row.issue_type,
        assignee=row.assignee,
        labels=tuple(row.labels),
        metadata=metadata if isinstance(metadata, dict) else {},
        created_at=row.created_at,
        updated_at=row.updated_at,
        closed_at=row.closed_at,
        close_reason=row.close_reason,
        defer_until=row.defer_until,
        pinned=row.pinned,
        ephemeral=row.ephemeral,
        role_hint=row.role_hint,
        role_reason=row.role_reason,
        role_problem=row.role_problem,
        ready_since=row.ready_since,
        blocked=row.blocked,
        ready_from=row.ready_from,
        hold=row.hold,
        refusal=row.refusal,
        head_sha=row.head_sha,
        hops=row.hops,
        failures=row.failures,
        usd=row.usd,
        commits=_commits(row.commit_first, row.commit_last, row.commit_count),
        triaged_at=row.triaged_at,
        hop_allowance=row.hop_allowance,
        workflow=row.workflow,
        node=row.node,
        step_size=row.step_size,
        step_reads=row.step_reads,
        node_timeout=_seconds(row.node_timeout_seconds),
    )


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def _commits(first: str | None, last: str | None, count: int) -> CommitRange:
    return CommitRange(first, last, count) if first and last and count else NO_COMMITS


def document(row: Row[Any]) -> dict[str, Any]:
    """The tracker's document of a bead, as it was imported or added."""
    loaded: dict[str, Any] = json.loads(row.document)
    return loaded


def project(row: Row[Any]) -> Project:
    return Project(
        id=ProjectId(row.id),
        path=Path(row.path),
        prefix=row.prefix,
        number=row.number,
        paused=row.paused,
        pause_reason=row.pause_reason,
        created_at=row.created_at,
    )


def project_of(facts: dict[str, Any]) -> Project:
    """A row of `projects` that came as JSON."""
    return Project(
        id=ProjectId(facts["id"]),
        path=Path(facts["path"]),
        prefix=facts["prefix"],
        number=facts["number"],
        paused=facts["paused"],
        pause_reason=facts["pause_reason"],
        created_at=moment(facts["created_at"]),
    )


def moment(written: str | None) -> datetime | None:
    """A moment that came as JSON."""
    return datetime.fromisoformat(written) if written is not None else None


def run(row: Row[Any]) -> Run:
    return Run(
        id=RunId(row.id),
        step_id=StepId(row.step_id),
        index=row.position,
        project_id=ProjectId(row.project_id),
        bead_id=BeadId(row.bead_id),
        role=row.role,
        attempt=row.attempt,
        timeout=timedelta(seconds=row.timeout_seconds),
        writes_branch=row.writes_branch,
        state=RunState(row.state),
        stop_reason=StopReason(row.stop_reason) if row.stop_reason else None,
        agent_id=AgentId(row.agent_id) if row.agent_id else None,
        agent_name=row.agent_name,
        incarnation_id=IncarnationId(row.incarnation_id) if row.incarnation_id else None,
        token=row.token,
        outcome=OUTCOME.validate_python(row.outcome) if row.outcome is not None else None,
        base_sha=row.base_sha,
        commit_sha=row.commit_sha,
        commits=_commits(row.commit_first, row.commit_sha, row.commit_count),
        publishes=row.publishes,
        settle_failures=row.settle_failures,
        created_at=row.created_at,
        published_at=row.published_at,
        started_at=row.started_at,
        deadline_at=row.deadline_at,
        lease_until=row.lease_until,
        reported_at=row.reported_at,
        settled_at=row.settled_at,
        host=row.host,
        boot_id=row.boot_id,
        process_group=row.process_group,
        process_started=row.process_started,
        spent=Spent(usd=row.usd, tokens_in=row.tokens_in, tokens_out=row.tokens_out),
        provider=row.provider,
    )


def run_columns(table: str) -> str:
    """The columns of runs for the end of a statement's list, beside those of something else; `run_row` finds them."""
    return ", ".join(f"{table}.{name} AS run_{name}" for name in _RUN_COLUMNS)


def run_row(row: Any) -> Any:
    """The row of `runs` that another row ends with."""
    return SimpleNamespace(**dict(zip(_RUN_COLUMNS, row[-len(_RUN_COLUMNS) :], strict=True)))


def agent_of(row: Row[Any], roles: tuple[str, ...]) -> Agent:
    """A row of `agents`, with `run_id` of its open run (or NULL), and the roles of its incarnation."""
    return Agent(
        id=AgentId(row.id),
        name=row.name,
        roles=roles,
        state=AgentState(row.state),
        incarnation_id=IncarnationId(row.incarnation_id),
        run_id=RunId(row.run_id) if row.run_id else None,
        last_used_at=row.last_used_at,
    )


def incarnation(row: Row[Any]) -> Incarnation:
    return Incarnation(
        id=IncarnationId(row.id),
        node=row.node,
        host=row.host,
        pid=row.pid,
        version=row.version,
        queues=tuple(row.queues),
        roles=tuple(row.roles),
        agents=row.agents,
        pool=row.pool,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        gone=row.gone,
        trouble=row.trouble,
    )


def event(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        at=row.at,
        kind=row.kind,
        project_id=row.project_id,
        bead_id=row.bead_id,
        run_id=row.run_id,
        data=row.data,
    )


_ERRORS_KEPT = 5
_LONGEST_ERROR = 4000
"""Of the newest errors so many are kept with a decision, and so many characters of each."""


def decision(row: Row[Any], *, created: bool = False) -> Decision:
    """A row of `decisions`. `created`: it was made now."""
    facts = row.facts
    return Decision(
        project_id=ProjectId(row.project_id),
        decision_id=BeadId(row.id),
        bead_id=BeadId(row.bead_id),
        reason=row.reason,
        kind=EscalationKind(row.kind),
        question=facts.get("question", ""),
        detail=facts.get("detail", ""),
        returned_to=row.returned_to,
        progress=facts.get("progress", ""),
        suggestions=tuple(facts.get("suggestions", ())),
        commits=CommitRange(*facts.get("commits", ())),
        errors=tuple(
            ErrorRecord(timestamp=datetime.fromisoformat(at), error=error, dispatch=attempt)
            for at, error, attempt in facts.get("errors", ())
        ),
        offer=Offer(
            options=tuple(Option(option) for option in row.offer["options"]),
            recommended=Option(row.offer["recommended"]),
            why=row.offer["why"],
        ),
        opened_at=row.opened_at,
        announcements=row.announcements,
        ruled_at=row.ruled_at,
        ruling=ruling(row.ruling) if row.ruling is not None else None,
        created=created,
    )


def decision_facts(escalation: Escalation) -> dict[str, Any]:
    """What helps to decide, as it is kept; the newest errors only."""
    return {
        "question": escalation.question,
        "detail": escalation.detail,
        "progress": escalation.progress,
        "suggestions": list(escalation.suggestions),
        "commits": [escalation.commits.first, escalation.commits.last, escalation.commits.count],
        "errors": [
            [error.timestamp.isoformat(), error.error[:_LONGEST_ERROR], error.dispatch]
            for error in escalation.errors[-_ERRORS_KEPT:]
        ],
    }


def offer_facts(offer: Offer) -> dict[str, Any]:
    """The options of a decision, as they are kept."""
    return {"options": list(offer.options), "recommended": offer.recommended, "why": offer.why}


def ruling(facts: dict[str, Any]) -> Ruling:
    """What was decided, as it is kept."""
    return Ruling(
        option=Option(facts["option"]),
        by=facts["by"],
        advice=facts["advice"],
        role=facts["role"],
        into=tuple(BeadId(bead_id) for bead_id in facts["into"]),
        reason=facts["reason"],
    )


def ruling_facts(ruling: Ruling) -> dict[str, Any]:
    """What was decided, as it is to be kept."""
    return {
        "option": ruling.option,
        "by": ruling.by,
        "advice": ruling.advice,
        "role": ruling.role,
        "into": list(ruling.into),
        "reason": ruling.reason,
    }
