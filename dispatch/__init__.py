"""dispatch: a distributed task queue for fleets of AI agents, on Celery, Valkey and PostgreSQL.

The public names, each loaded when it is first asked for: small programs of this package, such as the one that keeps the
embedded servers, would otherwise pay for Celery and SQLAlchemy at every start.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatch.bus import LocalBus as LocalBus
    from dispatch.bus.celery import CeleryBus as CeleryBus
    from dispatch.dispatcher import Dispatcher as Dispatcher
    from dispatch.errors import DispatchError as DispatchError
    from dispatch.learning import LessonsProvider as LessonsProvider
    from dispatch.loops import LoopDetector as LoopDetector
    from dispatch.loops import ProgressMetrics as ProgressMetrics
    from dispatch.loops import result_fingerprint as result_fingerprint
    from dispatch.models.agent import Agent as Agent
    from dispatch.models.bead import Bead as Bead
    from dispatch.models.decision import Decision as Decision
    from dispatch.models.dispatching import DispatchResult as DispatchResult
    from dispatch.models.dispatching import StatusState as StatusState
    from dispatch.models.dispatching import SystemStatus as SystemStatus
    from dispatch.models.guarding import Readiness as Readiness
    from dispatch.models.lesson import Lesson as Lesson
    from dispatch.models.messages import Assignment as Assignment
    from dispatch.models.messages import ResultMessage as ResultMessage
    from dispatch.models.messages import TaskMessage as TaskMessage
    from dispatch.models.run import ActionRecord as ActionRecord
    from dispatch.models.run import ErrorRecord as ErrorRecord
    from dispatch.models.run import PendingTask as PendingTask
    from dispatch.ports import Embedder as Embedder
    from dispatch.ports import Escalator as Escalator
    from dispatch.ports import MessageBus as MessageBus
    from dispatch.readiness.checking import ReadinessCheck as ReadinessCheck
    from dispatch.results import DecisionEscalator as DecisionEscalator
    from dispatch.results import ResultHandler as ResultHandler
    from dispatch.results import WorkflowEngine as WorkflowEngine
    from dispatch.routing import AutoBugRouter as AutoBugRouter
    from dispatch.routing import BugRouteInfo as BugRouteInfo
    from dispatch.routing import PersonaMatcher as PersonaMatcher
    from dispatch.settings import DEFAULT_TASK_TIMEOUT as DEFAULT_TASK_TIMEOUT
    from dispatch.settings import ReadinessMode as ReadinessMode
    from dispatch.settings import Settings as Settings
    from dispatch.settings import load_settings as load_settings
    from dispatch.store import Store as Store
    from dispatch.store.memories import ProjectMemory as ProjectMemory
    from dispatch.store.swarm import Swarm as Swarm
    from dispatch.wiring import connect as connect
    from dispatch.workspaces import ContainerOrchestrator as ContainerOrchestrator
    from dispatch.workspaces import WorktreeManager as WorktreeManager

_HOMES = {
    "DEFAULT_TASK_TIMEOUT": "dispatch.settings",
    "ActionRecord": "dispatch.models.run",
    "Agent": "dispatch.models.agent",
    "Assignment": "dispatch.models.messages",
    "AutoBugRouter": "dispatch.routing",
    "Bead": "dispatch.models.bead",
    "BugRouteInfo": "dispatch.routing",
    "CeleryBus": "dispatch.bus.celery",
    "ContainerOrchestrator": "dispatch.workspaces",
    "Decision": "dispatch.models.decision",
    "DecisionEscalator": "dispatch.results",
    "DispatchError": "dispatch.errors",
    "DispatchResult": "dispatch.models.dispatching",
    "Dispatcher": "dispatch.dispatcher",
    "Embedder": "dispatch.ports",
    "ErrorRecord": "dispatch.models.run",
    "Escalator": "dispatch.ports",
    "Lesson": "dispatch.models.lesson",
    "LessonsProvider": "dispatch.learning",
    "LocalBus": "dispatch.bus",
    "LoopDetector": "dispatch.loops",
    "MessageBus": "dispatch.ports",
    "PendingTask": "dispatch.models.run",
    "PersonaMatcher": "dispatch.routing",
    "ProgressMetrics": "dispatch.loops",
    "ProjectMemory": "dispatch.store.memories",
    "Readiness": "dispatch.models.guarding",
    "ReadinessCheck": "dispatch.readiness.checking",
    "ReadinessMode": "dispatch.settings",
    "ResultHandler": "dispatch.results",
    "ResultMessage": "dispatch.models.messages",
    "Settings": "dispatch.settings",
    "StatusState": "dispatch.models.dispatching",
    "Store": "dispatch.store",
    "Swarm": "dispatch.store.swarm",
    "SystemStatus": "dispatch.models.dispatching",
    "TaskMessage": "dispatch.models.messages",
    "WorkflowEngine": "dispatch.results",
    "WorktreeManager": "dispatch.workspaces",
    "connect": "dispatch.wiring",
    "load_settings": "dispatch.settings",
    "result_fingerprint": "dispatch.loops",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dispatch' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
