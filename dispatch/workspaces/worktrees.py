"""The worktrees of runs: one a run, detached, so that nothing a stale run does touches a newer one (PROTOCOL, rule 9).

A run has `<root>/<run id>` (its files), `<root>/<run id>.json` (what this host remembers) and the ref
`refs/dispatch/runs/<run id>`, which keeps its commits from git's garbage collection.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from dispatch.errors import DispatchError, RefusedError
from dispatch.models.identity import BeadId, ProjectId, RunId
from dispatch.models.run import Run
from dispatch.workspaces.branches import branch_name
from dispatch.workspaces.capture import capture
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.linked import add_worktree, drop_worktree, sweep_discarded
from dispatch.workspaces.records import Record, Records
from dispatch.workspaces.repository import OpenRepository, Repository

_LOCKS = 64
"""Files that salvages are locked by: enough that two of different runs seldom wait for each other."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Worktree:
    """Where a run works: `path` holds the files of `base_sha`, and whatever the agent does to them."""

    path: Path
    base_sha: str


class WorktreeManager:
    """Makes, captures and removes the worktrees of runs on this host.

    `root` holds them; `repository_of` returns the repository of a project and may raise DispatchError for an unknown
    one. Any number of processes may use one root, each for runs of its own.
    """

    def __init__(self, root: Path, repository_of: Callable[[ProjectId], Repository]) -> None:
        self._root = root.absolute()
        self._repository_of = repository_of
        self._records = Records(self._root)

    def create(self, run: Run) -> Worktree:
        """Make the run's worktree at `run.base_sha`, or at the tip of the target branch when it has none.

        What an interrupted earlier try left is replaced. Raises ConfigurationError (no repository, no branch, no
        commit), NotFoundError (no such base) and RefusedError (the run has a worktree already).
        """
        record = self._records.get(run.id)
        if record is not None and record.ready:
            raise RefusedError(
                problem=f"the run {run.id} already has a worktree, {self._path(run.id)}",
                cure="A run starts once; remove its worktree before it is made again.",
            )
        configured = self._repository_of(run.project_id)
        repository = OpenRepository.at(configured.path)
        base = repository.commit(run.base_sha) if run.base_sha else repository.tip(configured.target_branch)
        path = self._path(run.id)
        record = Record(str(run.id), run.project_id, base, ready=False)
        self._records.put(record)
        drop_worktree(repository, path)
        repository.git.run("update-ref", _ref(run.id), base)
        add_worktree(repository, path, base)
        self._records.put(replace(record, ready=True))
        return Worktree(path, base)

    def commit_all(self, run: Run, message: str) -> str:
        """Commit all that is in the run's worktree, move the run's ref there and return the commit.

        It descends from the run's base and from what the agent committed itself, and is the base when nothing
        changed. Ignored files are left out, symbolic links stay links, nested repositories become plain files. Only
        call it once the agent has ended. Raises RefusedError when the run has no worktree, GitError.
        """
        record = self._records.get(run.id)
        if record is None or not record.ready:
            raise RefusedError(
                problem=f"the run {run.id} has no worktree on this host", cure="It was removed, or never made here."
            )
        return self._capture(run.id, record, self._open(run.project_id), message)

    def remove(self, run: Run) -> None:
        """Delete the run's worktree after committing what it holds to the run's ref. Removing it again does nothing."""
        self.salvage(run.id, run.project_id)

    def salvage(self, run_id: RunId, project_id: ProjectId) -> str | None:
        """Commit what a run left on this host and delete its worktree; return the commit.

        None when it left nothing: no worktree here, or no change of its base. Once the worktree is gone the commit
        that the ref holds is returned. Only call it once the run's process group has ended. Several may call it at
        once, such as the next attempt and a housekeeping: the first one does it, the others wait and get the same.
        """
        if self._records.get(run_id) is None:
            return None
        with locked(self._root / f".salvage-{UUID(str(run_id)).int % _LOCKS}.lock"):
            return self._salvage_alone(run_id, project_id)

    def _salvage_alone(self, run_id: RunId, project_id: ProjectId) -> str | None:
        record = self._records.get(run_id)
        if record is None:
            return None
        repository = self._open(project_id)
        if record.ready:
            sha = self._capture(run_id, record, repository, f"Work in progress of run {run_id}")
            self._records.put(replace(record, ready=False))
        else:
            sha = repository.find_commit(_ref(run_id)) or record.base_sha
        drop_worktree(repository, self._path(run_id))
        return sha if sha != record.base_sha else None

    def collect(self, keep: Callable[[RunId], bool]) -> list[RunId]:
        """Clear away the runs of this host that `keep` no longer wants; return those that were touched.

        A worktree is salvaged and deleted, and the run's ref with it, except where that found work nobody had
        committed: then the ref stays until the next collection. A run whose project is gone or whose repository does
        not answer is logged and left for a later collection.
        """
        sweep_discarded(self._root)
        collected = []
        for run_id in list(self._records.run_ids()):
            if keep(run_id):
                continue
            try:
                self._collect_one(run_id)
            except DispatchError as error:
                _log.warning("the worktree of run %s was not collected: %s", run_id, error)
            else:
                collected.append(run_id)
        return collected

    def set_branch(self, project_id: ProjectId, bead_id: BeadId, sha: str) -> bool:
        """Move the bead's branch to `sha`, wherever it was, and make it when it is missing.

        False when a worktree has the branch checked out: it is left as it is, since moving it would make that
        worktree's files look changed. Raises NotFoundError (no such commit) and GitError.
        """
        repository = self._open(project_id)
        branch = branch_name(bead_id)
        commit = repository.commit(sha)
        if repository.find_commit(f"refs/heads/{branch}") == commit:
            return True
        if repository.checkout_of(branch) is not None:
            return False
        repository.git.run("update-ref", "-m", "dispatch: the bead's work", f"refs/heads/{branch}", commit)
        return True

    def commit_range(self, project_id: ProjectId, base: str, head: str) -> tuple[str | None, str | None, int]:
        """Return the first, the last and the number of the commits that `head` has and `base` has not.

        Oldest first; None, None, 0 when there are none. Raises NotFoundError when either end is unknown.
        """
        repository = self._open(project_id)
        ends = f"{repository.commit(base)}..{repository.commit(head)}"
        commits = repository.git.text("rev-list", "--topo-order", "--reverse", ends).split()
        return (commits[0], commits[-1], len(commits)) if commits else (None, None, 0)

    def _capture(self, run_id: RunId, record: Record, repository: OpenRepository, message: str) -> str:
        last = repository.find_commit(_ref(run_id)) or record.base_sha
        text = message if message.strip() else f"Work of run {run_id}"
        sha = capture(repository, self._path(run_id), base=record.base_sha, last=last, message=text)
        repository.git.run("update-ref", _ref(run_id), sha)
        return sha

    def _collect_one(self, run_id: RunId) -> None:
        record = self._records.get(run_id)
        if record is None:
            return
        repository = self._open(ProjectId(record.project_id))
        known = repository.find_commit(_ref(run_id))
        found = self.salvage(run_id, ProjectId(record.project_id))
        if found is not None and found != known:
            return
        repository.git.run("update-ref", "-d", _ref(run_id))
        self._records.delete(run_id)

    def _open(self, project_id: ProjectId) -> OpenRepository:
        return OpenRepository.at(self._repository_of(project_id).path)

    def _path(self, run_id: RunId) -> Path:
        return self._root / str(UUID(str(run_id)))


def _ref(run_id: RunId) -> str:
    return f"refs/dispatch/runs/{UUID(str(run_id))}"
