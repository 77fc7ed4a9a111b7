"""Whether an agent goes round in circles, and what a human can do about it. Source: SPEC, "Loops"."""

from dispatch.loops.detector import LoopDetector
from dispatch.loops.fingerprint import result_fingerprint
from dispatch.loops.history import BeadHistory, ProgressMetrics
from dispatch.loops.limits import PING_PONG_RUNS, JudgedRuns, is_ping_pong, judge_runs, most_hops, near_limit
from dispatch.loops.suggestions import suggest_next_steps
from dispatch.loops.verdict import LoopRule, Verdict, judge_loop

__all__ = [
    "PING_PONG_RUNS",
    "BeadHistory",
    "JudgedRuns",
    "LoopDetector",
    "LoopRule",
    "ProgressMetrics",
    "Verdict",
    "is_ping_pong",
    "judge_loop",
    "judge_runs",
    "most_hops",
    "near_limit",
    "result_fingerprint",
    "suggest_next_steps",
]
