"""Names of things: typed ids, the key of a bead, and time-ordered UUIDs."""

import hashlib
import os
import time
import uuid
from typing import NamedTuple, NewType, Self

ProjectId = NewType("ProjectId", str)
BeadId = NewType("BeadId", str)
RunId = NewType("RunId", uuid.UUID)
"""Identifies a run; the same value is its Celery task id and its correlation id."""
StepId = NewType("StepId", uuid.UUID)
AgentId = NewType("AgentId", uuid.UUID)
IncarnationId = NewType("IncarnationId", uuid.UUID)
"""Identifies one start of a worker: a worker that is started again is another incarnation."""


class BeadKey(NamedTuple):
    """What identifies a bead: its project and its id inside that project."""

    project_id: ProjectId
    bead_id: BeadId

    def __str__(self) -> str:
        return f"{self.project_id}/{self.bead_id}"

    @classmethod
    def of(cls, project_id: str, bead_id: str) -> Self:
        return cls(ProjectId(project_id), BeadId(bead_id))


def uuid7() -> uuid.UUID:
    """Return a UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits.

    Python 3.11 to 3.13 have none. Later ones sort after earlier ones, so rows are appended to their indexes.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def hash_id(prefix: str, material: str, length: int) -> str:
    """Return `prefix`, a dash, and `length` lower-case base-36 digits of the material's SHA-256."""
    number = int.from_bytes(hashlib.sha256(material.encode("utf-8", "surrogatepass")).digest(), "big")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 36)
        digits.append(_BASE36[digit])
    return f"{prefix}-{''.join(digits)}"
