"""The commits that a bead's work consists of."""

from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.workspaces.git import Git
from dispatch.workspaces.repository import Repository


def commits_of_work(repository: Repository, head: str) -> CommitRange:
    """Return the commits that `head` has and the target branch has not, oldest first.

    So it is right also for work that the target branch was merged into, or that was rebased onto it. Raises GitError
    when there is no such repository, branch or commit.
    """
    ends = f"{repository.target_ref}..{head}"
    commits = Git(repository.path).text("rev-list", "--topo-order", "--reverse", "--end-of-options", ends, "--").split()
    return CommitRange(commits[0], commits[-1], len(commits)) if commits else NO_COMMITS
