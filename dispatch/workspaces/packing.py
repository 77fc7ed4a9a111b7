"""Keeping a repository small: our calls of git never collect garbage, so loose objects would grow for ever."""

from dispatch.errors import RefusedError
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.repository import OpenRepository

MOST_LOOSE = 5_000
"""Loose objects from which on a repository is packed; git's own bound is 6,700."""
MOST_PACKS = 40
_KEPT_FOR = "2.weeks.ago"
"""Objects that no ref leads to are kept so long: a run may be about to make one of them its own."""


def pack(repository: OpenRepository, *, most_loose: int = MOST_LOOSE, most_packs: int = MOST_PACKS) -> bool:
    """Pack a repository that has many loose objects or packs; one process at a time. Tell whether that was done.

    A repository whose owner turned git's own collection off (`gc.auto = 0`) is left alone. Raises GitError.
    """
    counts = dict(line.split(": ", 1) for line in repository.git.text("count-objects", "-v").splitlines())
    if int(counts["count"]) <= most_loose and int(counts["packs"]) <= most_packs:
        return False
    if repository.git.attempt("config", "--local", "--get", "gc.auto").output.strip() == b"0":
        return False
    try:
        with locked(repository.common_dir / "dispatch-pack.lock", patience=0):
            repository.git.run("gc", "--quiet", f"--prune={_KEPT_FOR}")
    except RefusedError:
        return False
    return True
