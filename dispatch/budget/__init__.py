"""What work may cost: caps on beads, projects and the whole system, and what is said when one is reached."""

from dispatch.budget.caps import bead_cap, bead_refusal, dollars, project_reason, system_reason, used_up

__all__ = ["bead_cap", "bead_refusal", "dollars", "project_reason", "system_reason", "used_up"]
