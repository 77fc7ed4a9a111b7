"""What an import does to readiness is in `store.graph`; here: whether a project and its beads may be worked on."""
