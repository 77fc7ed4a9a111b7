"""What a chaos run is made of: beads that wait for each other, and faults, both drawn from one seed."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dispatch.models.identity import BeadId
from tests.chaos.checker import Blockers

ROLES = ("backend-engineer", "web-designer", "qa-engineer", "technical-writer")
_REACH = 25
"""How many beads back a bead may wait for one."""
_STAMP = "2026-01-01T00:00:00Z"


class Fault(StrEnum):
    """What is done to the deployment, and to what of it."""

    KILL_WORKER = "kill a worker"
    KILL_POOL_PROCESS = "kill a pool process at work"
    FREEZE_POOL_PROCESS = "freeze a pool process at work"
    FREEZE_WORKER = "freeze a worker"
    KILL_TICKER = "kill the ticker"
    KILL_SETTLER = "kill the settler"
    KILL_LANDER = "kill the lander"
    KILL_BEAT = "kill beat"
    KILL_VALKEY = "kill Valkey"
    KILL_POSTGRES = "kill PostgreSQL"
    KILL_SESSION = "kill a session of PostgreSQL"
    KILL_KEEPER = "kill the servers' keeper"


@dataclass(frozen=True, slots=True)
class Work:
    """A bead: who it asks for, what it waits for, how many seconds it takes, and whether it changes a file."""

    bead_id: BeadId
    role: str
    blockers: tuple[BeadId, ...]
    nap: float
    writes: bool

    def document(self) -> dict[str, Any]:
        """Return the line of a beads file."""
        edges = [
            {"issue_id": self.bead_id, "depends_on_id": target, "type": "blocks", "created_at": _STAMP}
            for target in self.blockers
        ]
        return {
            "id": self.bead_id,
            "title": f"nap={self.nap}" + (f" file={self.bead_id}.txt" if self.writes else ""),
            "status": "open",
            "priority": 2,
            "issue_type": "task",
            "labels": [f"role:{self.role}"],
            "dependencies": edges,
            "created_at": _STAMP,
            "updated_at": _STAMP,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole chaos run, the same for the same seed and sizes: only what the faults meet differs."""

    seed: int
    work: tuple[Work, ...]
    faults: tuple[Fault, ...]

    @property
    def blockers(self) -> Blockers:
        return {bead.bead_id: bead.blockers for bead in self.work}

    @classmethod
    def drawn(cls, seed: int, *, beads: int, kills: int, longest_nap: float) -> "Plan":
        """Draw a plan. Every kind of fault comes at least once where there are as many `kills` as kinds."""
        luck = random.Random(seed)
        work: list[Work] = []
        for number in range(beads):
            near = [earlier.bead_id for earlier in work[-_REACH:]]
            work.append(
                Work(
                    bead_id=BeadId(f"shop-{number}"),
                    role=luck.choice(ROLES),
                    blockers=tuple(luck.sample(near, min(len(near), luck.choice((0, 1, 1, 2))))),
                    nap=round(luck.uniform(0.2, longest_nap), 2) if luck.random() < 0.4 else 0.0,
                    writes=luck.random() < 0.1,
                )
            )
        faults: list[Fault] = []
        while len(faults) < kills:
            faults += luck.sample(list(Fault), len(Fault))
        return cls(seed, tuple(work), tuple(faults[:kills]))
