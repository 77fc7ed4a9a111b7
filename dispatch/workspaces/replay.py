"""Putting the commits of a piece of work onto a newer tip."""

from collections.abc import Sequence
from pathlib import Path

from dispatch.models.landing import Conflict
from dispatch.workspaces.git import Git, words
from dispatch.workspaces.linked import git_dir_of
from dispatch.workspaces.processes import Finished
from dispatch.workspaces.repository import OpenRepository

_OUTPUT_LIMIT = 16_384
"""Characters of the conflict that are shown."""


def replay(repository: OpenRepository, path: Path, *, tip: str, commit: str) -> str | Conflict:
    """Return the commit that holds the work `tip..commit` on top of `tip`; it is `tip` when nothing is left of it.

    `path` is a clean worktree of ours at `tip`. A straight line of commits is rebased one by one. One with merges
    becomes a single commit by a three-way merge: replaying its commits without the merges would bring back every
    conflict that those merges settled.
    """
    work = Git(path, git_dir=git_dir_of(repository, path), work_tree=path, whole_tree=True, env=repository.identity())
    merges = repository.git.text("rev-list", "--merges", "--max-count=1", f"{tip}..{commit}")
    finished = _squash(work, tip, commit) if merges else _rebase(work, tip, commit)
    if finished.code != 0:
        return _conflict(work, finished)
    return work.text("rev-parse", "--verify", "HEAD")


def _rebase(work: Git, tip: str, commit: str) -> Finished:
    options = ("--merge", "--no-fork-point", "--no-keep-empty", "--empty=drop", "--no-autostash", "--no-rebase-merges")
    return work.attempt("rebase", "--quiet", *options, tip, commit)


def _squash(work: Git, tip: str, commit: str) -> Finished:
    finished = work.attempt("merge", "--quiet", "--squash", commit)
    if finished.code != 0 or work.tells("diff", "--cached", "--quiet", "--no-ext-diff", tip):
        return finished
    described = work.text("rev-list", "--no-merges", "--max-count=1", f"{tip}..{commit}") or commit
    return work.attempt("commit", "--quiet", "--no-verify", f"--reuse-message={described}")


def _conflict(work: Git, finished: Finished) -> Conflict:
    files = work.names("diff", "--name-only", "--diff-filter=U", "-z")
    if not files:
        raise work.error(("rebase",), finished)
    # git's hints tell how to go on in this worktree, which is gone when somebody reads them
    said = "\n".join(line for line in words(finished).split("\n") if not line.startswith("hint:"))
    head = f"Conflicts in {', '.join(files)}.\n{said}"[: _OUTPUT_LIMIT // 4]
    return Conflict(f"{head}\n\n{_places(work, files, _OUTPUT_LIMIT - len(head) - 2)}")


def _places(work: Git, files: Sequence[str], room: int) -> str:
    """Return where the files differ, each in a fair share of the room: one large conflict does not hide the others."""
    shown = []
    for number, name in enumerate(files):
        share = room // (len(files) - number)
        options = ("--no-ext-diff", "--no-textconv", "--no-color")
        place = work.run("diff", *options, "--", f":(top,literal){name}").decode(errors="replace")[:share]
        room -= len(place)
        shown.append(place)
    return "".join(shown)
