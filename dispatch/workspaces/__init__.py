"""Where runs work: git worktrees, and how finished work lands."""

from dispatch.workspaces.announcing import Announcement, announce
from dispatch.workspaces.branches import branch_name
from dispatch.workspaces.commits import commits_of_work
from dispatch.workspaces.containers import Container, ContainerOrchestrator, RunningContainer
from dispatch.workspaces.exclusion import ignore_home
from dispatch.workspaces.landing import land
from dispatch.workspaces.places import find_repository, landing_of, local_repository, works_in_clone
from dispatch.workspaces.proposing import propose
from dispatch.workspaces.repository import OpenRepository, Repository, Upstream
from dispatch.workspaces.scratch import ScratchSpaces
from dispatch.workspaces.soundness import RepositoryCheck
from dispatch.workspaces.testing import Tests
from dispatch.workspaces.worktrees import Fate, Worktree, WorktreeManager

__all__ = [
    "Announcement",
    "Container",
    "ContainerOrchestrator",
    "Fate",
    "OpenRepository",
    "Repository",
    "RepositoryCheck",
    "RunningContainer",
    "ScratchSpaces",
    "Tests",
    "Upstream",
    "Worktree",
    "WorktreeManager",
    "announce",
    "branch_name",
    "commits_of_work",
    "find_repository",
    "ignore_home",
    "land",
    "landing_of",
    "local_repository",
    "propose",
    "works_in_clone",
]
