"""Containers: what isolates agents and tests from the host that they run on."""

from dispatch.workspaces.containers.orchestrator import ContainerOrchestrator, RunningContainer
from dispatch.workspaces.containers.program import Container

__all__ = ["Container", "ContainerOrchestrator", "RunningContainer"]
