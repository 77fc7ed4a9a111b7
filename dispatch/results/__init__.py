"""What becomes of a finished run."""

from dispatch.results.handler import ResultHandler
from dispatch.results.judging import judge, judge_landing

__all__ = ["ResultHandler", "judge", "judge_landing"]
