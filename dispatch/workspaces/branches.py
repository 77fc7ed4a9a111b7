"""The branch of a bead, and names made of ids.

An id comes from anybody's file, so it is data, never a path or an argument.
"""

import hashlib
import re
import unicodedata

_PLAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]|\.(?![.]|lock(?:\.|$)|$))*")
"""Ids that can be a branch name as they are, also on a file system that ignores case."""
_LONGEST_PLAIN = 100
_LONGEST_HINT = 60


def branch_name(bead_id: str) -> str:
    """Return the branch that follows a bead's work: `bead/<id>` where the id is safe as it is.

    Any other id (upper case, spaces, slashes, unicode, very long, ...) gives `bead/<readable part>=<hash>`. No plain
    id contains `=`, so two beads never share a branch, and as nothing after `bead/` contains a slash, none is a
    directory of another's.
    """
    return f"bead/{safe_name(bead_id)}"


def safe_name(given: str) -> str:
    """Return a name for an id that is safe as a part of a path and of a ref; no two ids have the same."""
    if len(given) <= _LONGEST_PLAIN and _PLAIN.fullmatch(given):
        return given
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    ascii_id = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode()
    hint = re.sub(r"[^A-Za-z0-9_]+", "-", ascii_id).strip("-")[:_LONGEST_HINT]
    return f"{hint or 'id'}={digest}"
