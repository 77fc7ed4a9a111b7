"""Beads files in and out."""
