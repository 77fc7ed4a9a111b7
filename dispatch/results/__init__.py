"""What becomes of a finished run."""

from dispatch.results.announcing import announce_decisions
from dispatch.results.escalator import DecisionEscalator
from dispatch.results.handler import ResultHandler
from dispatch.results.judging import judge, judge_landing
from dispatch.results.workflow_engine import WorkflowEngine

__all__ = [
    "DecisionEscalator",
    "ResultHandler",
    "WorkflowEngine",
    "announce_decisions",
    "judge",
    "judge_landing",
]
