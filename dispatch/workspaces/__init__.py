"""Where runs work: git worktrees, and how finished work lands."""
