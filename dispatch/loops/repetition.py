"""What was had before, and what is being repeated: both of bounded size, both at a constant cost an action."""

import hashlib
from collections import OrderedDict, deque
from typing import NamedTuple

from dispatch.loops.fingerprint import result_fingerprint
from dispatch.models.run import ActionRecord, canonical_json

MAX_CYCLE = 5
"""Actions of the longest cycle that is looked for."""
MAX_KNOWN = 10_000
"""Pairs that are remembered for a bead, those had last: a hundred runs of a hundred different actions.

A bead is escalated long before, after five times the hop limit. One that was forgotten counts as progress when it
comes again, so forgetting never raises an alarm; and it never hides a loop, because the pairs of a cycle of five are
always among the last had.
"""
_DIGEST = 8
"""Bytes: the chance that two of 10,000 pairs look equal is 3 in a trillion."""


def pair_of(action: ActionRecord) -> bytes:
    """Return a digest of an action and its result.

    Of one without a result the data stand for it: in those of an edit may be the new text.
    """
    result = action.result_hash or result_fingerprint(canonical_json(action.action_data))
    text = f"{action.progress_key}\0{result}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


class KnownPairs:
    """The pairs that were had last, at most `MAX_KNOWN`."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, pair: bytes) -> bool:
        """Remember a pair; True when it is new."""
        if pair in self._pairs:
            self._pairs.move_to_end(pair)
            return False
        self._pairs[pair] = None
        if len(self._pairs) > MAX_KNOWN:
            self._pairs.popitem(last=False)
        return True


class Cycle(NamedTuple):
    """The last `length` pairs, which came so many `times` one after the other."""

    length: int
    times: int


class Repetition:
    """How far back the last pairs repeat, for each length of a cycle."""

    def __init__(self) -> None:
        self._last: deque[bytes] = deque(maxlen=MAX_CYCLE)
        self._equal = [0] * (MAX_CYCLE + 1)
        """By length: how many pairs up to the last one equal the one that came so many before them."""

    def add(self, pair: bytes) -> None:
        for length, before in enumerate(reversed(self._last), start=1):
            self._equal[length] = self._equal[length] + 1 if before == pair else 0
        self._last.append(pair)

    def cycle(self, threshold: int) -> Cycle | None:
        """Return the shortest cycle that came at least `threshold` times up to now, or None."""
        for length in range(1, MAX_CYCLE + 1):
            times = self._equal[length] // length + 1
            if times >= threshold:
                return Cycle(length, times)
        return None
