"""Which role a bead asks for, and how long its runs may take."""

from dispatch.routing.hints import bead_timeout, role_hint

__all__ = ["bead_timeout", "role_hint"]
