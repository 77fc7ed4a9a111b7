"""Whether an agent goes round in circles, and what a human can do about it. Source: SPEC, "Loops"."""

from dispatch.loops.detector import LoopDetector
from dispatch.loops.fingerprint import result_fingerprint
from dispatch.loops.history import BeadHistory, ProgressMetrics
from dispatch.loops.suggestions import suggest_next_steps
from dispatch.loops.verdict import LoopRule, Verdict, judge_loop

__all__ = [
    "BeadHistory",
    "LoopDetector",
    "LoopRule",
    "ProgressMetrics",
    "Verdict",
    "judge_loop",
    "result_fingerprint",
    "suggest_next_steps",
]
