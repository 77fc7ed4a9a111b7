"""When a bead goes to a human, and what the human is told."""

from dispatch.escalation.wording import asked, settle_broken, worn_out

__all__ = ["asked", "settle_broken", "worn_out"]
