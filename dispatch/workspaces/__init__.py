"""Where runs work: git worktrees, and how finished work lands."""

from dispatch.workspaces.branches import branch_name
from dispatch.workspaces.commits import commits_of_work
from dispatch.workspaces.containers import Container, ContainerOrchestrator, RunningContainer
from dispatch.workspaces.exclusion import ignore_home
from dispatch.workspaces.landing import land
from dispatch.workspaces.repository import Repository
from dispatch.workspaces.scratch import collect_scratch, drop_scratch, make_scratch
from dispatch.workspaces.soundness import RepositoryCheck
from dispatch.workspaces.worktrees import Worktree, WorktreeManager

__all__ = [
    "Container",
    "ContainerOrchestrator",
    "Repository",
    "RepositoryCheck",
    "RunningContainer",
    "Worktree",
    "WorktreeManager",
    "branch_name",
    "collect_scratch",
    "commits_of_work",
    "drop_scratch",
    "ignore_home",
    "land",
    "make_scratch",
]
