"""Values: what the rooms hand to each other. No I/O, no clock."""
