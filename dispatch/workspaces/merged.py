"""Whether a branch holds a piece of work, however it was merged there."""

from collections.abc import Iterable

from dispatch.workspaces.repository import OpenRepository

_LOOKED_AT = 500
"""How many commits of the target branch are compared with the work, the newest ones."""


def holds_work(repository: OpenRepository, *, tip: str, work: str) -> bool:
    """Tell whether `tip` holds the change that `work` makes.

    It does when the commit is part of it; when merging it would change nothing, as after a squash; or when each of its
    commits, or all of them as one, was applied there as another commit, even if that was changed again since.
    """
    if repository.is_ancestor(work, tip):
        return True
    base = repository.merge_base(work, tip)
    if base is None or repository.tree_of(work) == repository.tree_of(base):
        return False
    return _brings_nothing(repository, tip, work) or _was_applied(repository, base, tip, work)


def _brings_nothing(repository: OpenRepository, tip: str, work: str) -> bool:
    """Merge in memory. An older git that cannot (before 2.38) answers no, and the patches are compared."""
    merged = repository.git.attempt("merge-tree", "--write-tree", "--no-messages", tip, work)
    return merged.code == 0 and merged.output.decode(errors="replace").strip() == repository.tree_of(tip)


def _was_applied(repository: OpenRepository, base: str, tip: str, work: str) -> bool:
    own = repository.git.text("rev-list", "--no-merges", f"{base}..{work}").split()
    theirs = repository.git.text("rev-list", f"--max-count={_LOOKED_AT}", "--no-merges", f"{base}..{tip}").split()
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
