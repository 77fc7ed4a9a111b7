"""Ids for new beads: the project's prefix and a short hash, as the tracker makes them."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SHORTEST = 4
_LONGEST = 12


def new_bead_id(prefix: str, title: str, taken: Callable[[str], bool], salt: str) -> str:
    """Return an id that `taken` does not know: `prefix`, a dash and 4 to 12 characters of a hash.

    `salt` is what makes two beads of the same title differ, for example the time and the author. The hash grows only
    when the shorter id is taken.
    """
    for attempt in itertools.count():
        digits = _base36(hashlib.sha256(f"{title}\0{salt}\0{attempt}".encode(errors="backslashreplace")).digest())
        for length in range(_SHORTEST, _LONGEST + 1):
            bead_id = f"{prefix}-{digits[:length]}"
            if not taken(bead_id):
                return bead_id
    raise AssertionError("unreachable: itertools.count has no end")


def _base36(digest: bytes) -> str:
    """Return the last digits of a hash first: all of them are evenly spread."""
    number = int.from_bytes(digest)
    digits = []
    for _ in range(_LONGEST):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)


def common_prefix(ids: Iterable[str]) -> str | None:
    """Return the prefix that most of the ids have (what stands before the last dash), or None when none has one.

    Of two that are as frequent, the one that came first.
    """
    counts = Counter(prefix for bead_id in ids if (prefix := bead_id.rpartition("-")[0]))
    return max(counts, key=counts.__getitem__) if counts else None
