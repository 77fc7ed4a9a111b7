"""What is done for a whole deployment every few minutes, whatever else happens: one pass, step by step.

What each host does for itself is in `workers.host_keeping`.
"""

from beat_schedule import HOUSEKEEPING_SECONDS
from dispatch.results import announce_decisions
from dispatch.wiring import System
from workers.modelling import look_at_providers
from workers.rounds import Rounds


def keep_house(system: System) -> None:
    """Announce what waits for a human, forget conversations that are over, make vectors that lessons lack.

    Then ask the providers of models whether they answer.
    """
    announce_decisions(system.store.decisions)
    system.store.sessions.delete_expired()
    system.lessons.refresh_vectors()
    look_at_providers(system)


def housekeeper(system: System) -> Rounds:
    """Return what keeps house at once and then as often as beat has it done: for a deployment without beat."""

    def keep() -> None:
        keep_house(system)

    return Rounds("dispatch-housekeeping", keep, every=HOUSEKEEPING_SECONDS, first=keep)
