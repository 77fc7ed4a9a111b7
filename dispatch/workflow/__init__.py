"""Where a bead goes in its workflow: definitions, their checks, and the moves."""
