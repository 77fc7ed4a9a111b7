"""The worktrees of runs: one a run, detached, so that nothing a stale run does touches a newer one (PROTOCOL, rule 9).

A run has `<root>/<run id>` (its files), `<root>/<run id>.json` (what this host remembers) and the ref
`refs/dispatch/runs/<run id>`, which keeps its commits from git's garbage collection.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from uuid import UUID

from dispatch.errors import ConfigurationError, DispatchError, RefusedError
from dispatch.models.identity import BeadId, ProjectId, RunId
from dispatch.models.run import Run
from dispatch.workspaces.branches import branch_name
from dispatch.workspaces.capture import capture
from dispatch.workspaces.exchange import BRIEF, FRESH, Exchange
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.linked import add_worktree, drop_worktree, sweep_discarded
from dispatch.workspaces.records import Record, Records
from dispatch.workspaces.repository import OpenRepository, Repository

_LOCKS = 64
"""Files that salvages are locked by: enough that two of different runs seldom wait for each other."""
START_PATIENCE = 30.0
"""Seconds that the start of a run waits for the remote, which it may do without."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Worktree:
    """Where a run works: `path` holds the files of `base_sha`, and whatever the agent does to them."""

    path: Path
    base_sha: str


class Fate(Enum):
    """What becomes of the commit that an ended run left, when it is collected.

    It is held elsewhere and its ref goes; it waits for what its bead comes to; or nobody will ask for it again, and it
    is kept under a name of its own (`refs/dispatch/kept/<run>`), since work is never thrown away.
    """

    HELD = "held"
    WAITS = "waits"
    KEPT = "kept"


class WorktreeManager:
    """Makes, captures and removes the worktrees of runs on this host.

    `root` holds them; `repository_of` returns the repository of a project and may raise DispatchError for an unknown
    one. Any number of processes may use one root, each for runs of its own.
    """

    def __init__(self, root: Path, repository_of: Callable[[ProjectId], Repository]) -> None:
        self._root = root.absolute()
        self._repository_of = repository_of
        self._records = Records(self._root)

    def create(self, run: Run, needs: Sequence[str] = ()) -> Worktree:
        """Make the run's worktree at `run.base_sha`, or at the tip of the target branch when it has none.

        `needs` are commits that this tip is to hold, such as those of what its bead waited for. What an interrupted
        earlier try left is replaced. Raises ConfigurationError (no repository, no branch, no commit), NotFoundError (no
        such base), UnavailableError (it is on a remote that does not answer) and RefusedError (the run has a worktree
        already).
        """
        record = self._records.get(run.id)
        if record is not None and record.ready:
            raise RefusedError(
                problem=f"the run {run.id} already has a worktree, {self._path(run.id)}",
                cure="A run starts once; remove its worktree before it is made again.",
            )
        configured = self._repository_of(run.project_id)
        repository = OpenRepository.at(configured.path)
        base = self._base(configured, repository, run, needs)
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

    def share(self, run: Run, sha: str) -> None:
        """Push the commit of a run, so that other hosts can fetch it; nothing where the project has no `url`.

        Raises UnavailableError.
        """
        exchange = self._shared(self._repository_of(run.project_id), patience=2 * BRIEF)
        if exchange is not None:
            exchange.push_run(str(run.id), sha)

    def collect(
        self, keep: Callable[[RunId], bool], fate: Callable[[RunId, str], Fate] = lambda _run_id, _commit: Fate.KEPT
    ) -> list[RunId]:
        """Clear away the runs of this host that `keep` no longer wants; return those of which something went.

        A worktree is salvaged and deleted. Of a run that left a commit `fate` tells what becomes of it; a run that left
        none is forgotten. A run whose project is gone or whose repository does not answer is logged and left for a
        later collection.
        """
        sweep_discarded(self._root)
        collected = []
        for run_id in list(self._records.run_ids()):
            if keep(run_id):
                continue
            try:
                if self._collect_one(run_id, fate):
                    collected.append(run_id)
            except DispatchError as error:
                _log.warning("the worktree of run %s was not collected: %s", run_id, error)
        return collected

    def set_branch(self, project_id: ProjectId, bead_id: BeadId, sha: str) -> bool:
        """Move the bead's branch to `sha`, wherever it was, and make it when it is missing.

        Where hosts share the project's work the branch of the remote moves too, but only forward: a pull request may
        stand on it. False when that was not possible, or when a worktree has the branch checked out: it is left as it
        is, since moving it would make that worktree's files look changed. Raises NotFoundError (no such commit),
        UnavailableError and GitError.
        """
        configured = self._repository_of(project_id)
        repository, branch = OpenRepository.at(configured.path), branch_name(bead_id)
        exchange = self._shared(configured, patience=BRIEF)
        commit = exchange.bring(sha, branch) if exchange is not None else repository.commit(sha)
        is_there = repository.find_commit(f"refs/heads/{branch}") == commit
        if not is_there and repository.checkout_of(branch) is not None:
            return False
        if not is_there:
            repository.git.run("update-ref", "-m", "dispatch: the bead's work", f"refs/heads/{branch}", commit)
        return exchange is None or not exchange.push(commit, f"refs/heads/{branch}")

    def holds(self, project_id: ProjectId, newer: str, older: str) -> bool:
        """Tell whether the work of `newer` contains the commit `older`; a commit that is not here contains nothing."""
        repository = self._open(project_id)
        ends = [repository.find_commit(sha) for sha in (older, newer)]
        return ends[0] is not None and ends[1] is not None and repository.is_ancestor(ends[0], ends[1])

    def is_landed(self, project_id: ProjectId, sha: str) -> bool:
        """Tell whether the target branch holds a commit; that of a remote is fetched if that is to be seen there."""
        configured = self._repository_of(project_id)
        if self.holds(project_id, configured.target_ref, sha):
            return True
        exchange = Exchange.of(configured, OpenRepository.at(configured.path), patience=BRIEF)
        if exchange is None:
            return False
        exchange.refresh()
        return self.holds(project_id, configured.target_ref, sha)

    def drop_shared_branch(self, project_id: ProjectId, bead_id: BeadId, sha: str) -> None:
        """Delete the bead's branch where hosts share it, if it still is at `sha`. Raises UnavailableError."""
        exchange = self._shared(self._repository_of(project_id), patience=BRIEF)
        if exchange is not None:
            exchange.push("", f"refs/heads/{branch_name(bead_id)}", expected=sha, replaces=True)

    def branch_tip(self, project_id: ProjectId, bead_id: BeadId) -> str | None:
        """Return where the bead's branch is in this host's repository; None: there is none."""
        return self._open(project_id).find_commit(f"refs/heads/{branch_name(bead_id)}")

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

    def _collect_one(self, run_id: RunId, fate: Callable[[RunId, str], Fate]) -> bool:
        record = self._records.get(run_id)
        if record is None:
            return False
        project_id = ProjectId(record.project_id)
        configured = self._repository_of(project_id)
        repository = OpenRepository.at(configured.path)
        found = self.salvage(run_id, project_id)
        decided = fate(run_id, found) if found is not None else Fate.HELD
        if decided is Fate.WAITS:
            return record.ready
        if decided is Fate.KEPT and found is not None:
            repository.git.run("update-ref", f"refs/dispatch/kept/{UUID(str(run_id))}", found)
        exchange = self._shared(configured, patience=BRIEF)
        if exchange is not None and found is not None:
            exchange.drop_runs([str(run_id)])
        repository.git.run("update-ref", "-d", _ref(run_id))
        self._records.delete(run_id)
        return True

    def _base(self, configured: Repository, repository: OpenRepository, run: Run, needs: Sequence[str]) -> str:
        """Return the commit that a run starts from, fetched where it is not here."""
        exchange = Exchange.of(configured, repository, patience=START_PATIENCE)
        if exchange is None:
            return repository.commit(run.base_sha) if run.base_sha else repository.tip(configured.target_branch)
        self._refresh(exchange, configured, within=FRESH)
        if run.base_sha:
            return exchange.bring(run.base_sha, branch_name(run.bead_id))
        tip = self._fetched_tip(configured, repository)
        if all(self._is_in(repository, sha, tip) for sha in needs):
            return tip
        self._refresh(exchange, configured, within=0)
        return self._fetched_tip(configured, repository)

    def _refresh(self, exchange: Exchange, configured: Repository, *, within: float) -> None:
        """Fetch the target branch; that the remote is away is no failure where the branch is here already."""
        try:
            exchange.refresh(within=within)
        except DispatchError as error:
            if not any(exchange.opened.find_commit(ref) for ref in _targets(configured)):
                raise
            _log.warning("a run starts from what was fetched before: %s", error)

    def _fetched_tip(self, configured: Repository, repository: OpenRepository) -> str:
        tip = next(filter(None, map(repository.find_commit, _targets(configured))), None)
        if tip is None:
            raise ConfigurationError(
                place=str(configured.path),
                problem=f"its remote has no branch {configured.target_branch!r}",
                cure="Set target_branch of the project to a branch that exists there.",
            )
        return tip

    def _is_in(self, repository: OpenRepository, sha: str, tip: str) -> bool:
        found = repository.find_commit(sha)
        return found is not None and repository.is_ancestor(found, tip)

    def _shared(self, configured: Repository, *, patience: float) -> Exchange | None:
        """Return the exchange of a project whose hosts share their work through its `url`; None for any other."""
        if configured.upstream is None or not configured.upstream.url:
            return None
        return Exchange.of(configured, OpenRepository.at(configured.path), patience=patience)

    def _open(self, project_id: ProjectId) -> OpenRepository:
        return OpenRepository.at(self._repository_of(project_id).path)

    def _path(self, run_id: RunId) -> Path:
        return self._root / str(UUID(str(run_id)))


def _targets(configured: Repository) -> list[str]:
    """Return the refs that say where the target branch is, the best first.

    Of a repository whose remote was never reached its own branch is as good as known.
    """
    own = [] if configured.upstream is None or configured.upstream.url else [f"refs/heads/{configured.target_branch}"]
    return [configured.target_ref, *own]


def _ref(run_id: RunId) -> str:
    return f"refs/dispatch/runs/{UUID(str(run_id))}"
