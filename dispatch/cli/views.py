"""What `--json` shows of each thing. The keys are a promise to scripts."""

from typing import Any

from dispatch.models.agent import Agent, Incarnation
from dispatch.models.bead import Bead
from dispatch.models.landing import PullRequest
from dispatch.models.project import Project
from dispatch.models.run import ActionRecord, Run
from dispatch.settings import Settings
from dispatch.workspaces import landing_of


def bead_view(bead: Bead) -> dict[str, Any]:
    return {
        "id": bead.id,
        "project": bead.project_id,
        "title": bead.title,
        "status": bead.status,
        "blocked": bead.blocked,
        "priority": bead.priority,
        "type": bead.issue_type,
        "assignee": bead.assignee,
        "labels": bead.labels,
        "role": bead.wanted_role,
        "role_reason": bead.role_reason,
        "role_problem": bead.role_problem,
        "created_at": bead.created_at,
        "updated_at": bead.updated_at,
        "closed_at": bead.closed_at,
        "close_reason": bead.close_reason,
        "ready_from": bead.ready_from,
        "hold": bead.hold,
        "hops": bead.hops,
        "failures": bead.failures,
        "head_sha": bead.head_sha,
        "commits": {"first": bead.commits.first, "last": bead.commits.last, "count": bead.commits.count},
        "triaged_at": bead.triaged_at,
    }


def pull_request_view(found: PullRequest) -> dict[str, Any]:
    return {
        "branch": found.branch,
        "base": found.base,
        "commit": found.pushed_sha,
        "is_pushed": found.is_pushed,
        "url": found.url,
        "command": found.command,
        "problem": found.problem,
        "ended": found.ended,
    }


def run_view(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "project": run.project_id,
        "bead": run.bead_id,
        "role": run.role,
        "attempt": run.attempt,
        "state": run.state,
        "stop_reason": run.stop_reason,
        "agent": run.agent_name,
        "host": run.host,
        "provider": run.provider,
        "outcome": run.outcome,
        "commit": run.commit_sha,
        "timeout_seconds": run.timeout,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "deadline_at": run.deadline_at,
        "reported_at": run.reported_at,
        "settled_at": run.settled_at,
    }


def outcome_text(run: Run) -> str:
    """Return how a run ended, in a few words; empty while it has not."""
    if run.outcome is None:
        return ""
    said = run.outcome.summary or getattr(run.outcome, "cause", "")
    ended = getattr(run.outcome, "verdict", "") or run.outcome.kind
    return f"{ended}: {said}" if said else ended


def action_view(action: ActionRecord) -> dict[str, Any]:
    return {
        "at": action.timestamp,
        "type": action.action_type,
        "data": action.action_data,
        "result_hash": action.result_hash,
    }


def agent_view(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.id,
        "name": agent.name,
        "roles": agent.roles,
        "state": agent.state,
        "run": agent.run_id,
        "last_used_at": agent.last_used_at,
    }


def worker_view(worker: Incarnation) -> dict[str, Any]:
    return {
        "id": worker.id,
        "node": worker.node,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "queues": worker.queues,
        "roles": worker.roles,
        "agents": worker.agents,
        "pool": worker.pool,
        "started_at": worker.started_at,
        "heartbeat_at": worker.heartbeat_at,
        "trouble": worker.trouble,
    }


def project_view(project: Project, settings: Settings) -> dict[str, Any]:
    return {
        "id": project.id,
        "path": project.path,
        "prefix": project.prefix,
        "landing": landing_of(project, settings),
        "paused": project.paused,
        "pause_reason": project.pause_reason,
        "created_at": project.created_at,
    }
