"""Runners: ways to start an agent and to understand what it says."""
