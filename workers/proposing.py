"""Landing a bead by a pull request: push, open it, look after it. What came of it so far is kept beside the bead."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from dispatch.models.bead import Bead
from dispatch.models.landing import LandingResult, Proposed, PullRequest
from dispatch.settings import Settings
from dispatch.wiring import System
from dispatch.workspaces import Announcement, Tests, announce, branch_name, propose

ASK_AGAIN = timedelta(minutes=10)
"""How long a command that could not open a pull request is left alone."""


def propose_bead(system: System, bead: Bead, tests: Tests) -> LandingResult:
    """Push a bead's work and open its pull request, or see what became of it. Raises DispatchError."""
    assert bead.head_sha is not None, "it waits to land"
    records, repository = system.store.pull_requests, system.repository(bead.project_id)
    result = propose(
        repository,
        bead.head_sha,
        branch=branch_name(bead.id),
        known=records.find(bead.key),
        root=system.worktrees_directory,
        tests=tests,
        note=lambda pull_request: records.note(bead.key, pull_request),
    )
    if not isinstance(result, Proposed):
        return result
    return Proposed(_opened(system, bead, result.pull_request, repository.path))


def _opened(system: System, bead: Bead, pushed: PullRequest, place: Path) -> PullRequest:
    """Return a pull request that is open: known to be, or by the command, which is not run again at each look."""
    records, now = system.store.pull_requests, system.store.pull_requests.moment()
    is_told = (pushed.url or pushed.command) and not pushed.problem
    if is_told or (pushed.asked_at is not None and now - pushed.asked_at < ASK_AGAIN):
        return pushed
    said = Announcement(title=bead.title, body=_body(bead), bead=str(bead.key))
    opened = replace(announce(pushed, said, _command(system.settings, bead), place), asked_at=now)
    records.note(bead.key, opened)
    return opened


def _command(settings: Settings, bead: Bead) -> tuple[str, ...]:
    """Return the command of the bead's project; a relative program is looked up beside the configuration."""
    command = settings.project(bead.project_id).pr_command
    if not command or "/" not in command[0] or settings.config_file is None:
        return command
    return (str(settings.config_file.parent / command[0]), *command[1:])


def _body(bead: Bead) -> str:
    commits = f"Commits of its agents: {bead.commits}." if bead.commits.count else ""
    return "\n\n".join(filter(None, (bead.description.strip(), f"Bead: {bead.key}", commits)))
