"""Whether a branch holds a piece of work, however it was merged there."""

from collections.abc import Iterable

from dispatch.workspaces.repository import OpenRepository

_LOOKED_AT = 500
"""How many of the new commits of the target branch are compared with the work, the newest ones."""


def holds_work(repository: OpenRepository, *, tip: str, work: str, since: str) -> bool:
    """Tell whether `tip` holds the change that `work` makes, and did not at its ancestor `since`.

    It does when the commit is part of it; when merging it would change nothing, as after a squash; or when each of its
    commits, or all of them as one, was applied there as another commit, even if that was changed again later.
    """
    if repository.is_ancestor(work, tip):
        return True
    base = repository.merge_base(work, tip)
    if base is None or repository.tree_of(work) == repository.tree_of(base):
        return False
    if _merged(repository, tip, work) == repository.tree_of(tip):
        return True
    new = f"{since}..{tip}" if repository.is_ancestor(since, tip) else f"{base}..{tip}"
    return _was_applied(repository, base, work, new)


def may_conflict(repository: OpenRepository, *, tip: str, work: str) -> bool:
    """Tell whether work may not fit onto `tip`: a merge in memory does not work out, or cannot be made."""
    return _merged(repository, tip, work) is None


def _merged(repository: OpenRepository, tip: str, work: str) -> str | None:
    """Merge in memory and return the tree; None: it conflicts, or git cannot do that (before 2.38)."""
    merged = repository.git.attempt("merge-tree", "--write-tree", "--no-messages", tip, work)
    return merged.output.decode(errors="replace").strip() if merged.code == 0 else None


def _was_applied(repository: OpenRepository, base: str, work: str, new: str) -> bool:
    own = repository.git.text("rev-list", "--no-merges", f"{base}..{work}").split()
    theirs = repository.git.text("rev-list", f"--max-count={_LOOKED_AT}", "--no-merges", new).split()
    applied = _patches(repository, theirs)
    if not applied:
        return False
    whole = repository.git.run("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", base, work)
    as_one = repository.git.text("patch-id", "--stable", stdin=whole).split()[:1]
    return bool(set(as_one) & applied) or (bool(own) and _patches(repository, own) <= applied)


def _patches(repository: OpenRepository, commits: Iterable[str]) -> set[str]:
    """Return the ids of what commits change, which do not depend on where they stand."""
    names = "".join(f"{sha}\n" for sha in commits).encode()
    if not names:
        return set()
    options = ("--stdin", "-p", "--no-ext-diff", "--no-textconv", "--no-color", "--binary")
    shown = repository.git.run("diff-tree", *options, stdin=names)
    lines = repository.git.text("patch-id", "--stable", stdin=shown).splitlines()
    return {line.split()[0] for line in lines if line}
