"""Containers: what isolates agents and tests from the host that they run on."""

from dispatch.workspaces.containers.command import end_all, run_command
from dispatch.workspaces.containers.confinement import TOLD, WORKSPACE
from dispatch.workspaces.containers.diagnosis import diagnose
from dispatch.workspaces.containers.engine import Engine
from dispatch.workspaces.containers.lifeline import Lifeline
from dispatch.workspaces.containers.orchestrator import ContainerOrchestrator, RunningContainer
from dispatch.workspaces.containers.program import Container, Program, signal_all

__all__ = [
    "TOLD",
    "WORKSPACE",
    "Container",
    "ContainerOrchestrator",
    "Engine",
    "Lifeline",
    "Program",
    "RunningContainer",
    "diagnose",
    "end_all",
    "run_command",
    "signal_all",
]
