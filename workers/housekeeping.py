"""What a deployment does every few minutes, whatever else happens: one pass, step by step."""

from dispatch.results import announce_decisions
from dispatch.wiring import System
from workers.settling import collect_worktrees


def keep_house(system: System) -> int:
    """Announce what waits for a human, forget conversations that are over, make vectors that lessons lack.

    Then collect the worktrees on this host whose runs have ended; returns how many.
    """
    announce_decisions(system.store.decisions)
    system.store.sessions.delete_expired()
    system.lessons.refresh_vectors()
    return collect_worktrees(system)
