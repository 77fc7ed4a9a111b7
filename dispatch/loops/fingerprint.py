"""The fingerprint of an action's result: equal for results that differ only in what changes by itself.

An agent that runs one failing test again and again is in a loop although the test prints its duration. Source: SPEC,
"Loops".
"""

import hashlib
import re

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Colours and cursor moves."""

_UNIT = r"(?:(?-i:ns|us|µs|ms|s|m|h)|secs?|seconds?|mins?|minutes?|hours?)"
_DURATION = rf"\d+(?:[.,]\d+)?(?:e[+-]?\d+)?\s?{_UNIT}"
_PASSING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
        r"(?<!\w:)\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b",  # but not the line and column in main.go:10:12
        rf"\b{_DURATION}(?:\s?{_DURATION})*\b",
        r"\b0x[0-9a-f]+\b",
        r"\b(?:pid|process)\W{0,3}\d+",
        r"(?<![\w.-])(?:/private)?(?:/var)?/(?:tmp|folders)/[^\s'\":]+",
        r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",  # a run's worktree has one in its path
        r"~ \(~\)",  # one duration told in two ways
    )
)


def result_fingerprint(result: str) -> str:
    """Return 32 hexadecimal digits for a result, without its times, durations, addresses, pids and temporary paths."""
    result = _COLOURS.sub("", result)
    for pattern in _PASSING:
        result = pattern.sub("~", result)
    result = "\n".join(map(_without_padding, result.split("\n")))
    return hashlib.sha256(result.encode("utf-8", "replace")).hexdigest()[:32]


def _without_padding(line: str) -> str:
    """Return a title that held a duration without what fills it up to the width of the page, and shrinks for it."""
    title = line.strip()
    if "~" not in title or title[0] not in "=-_*#" or title[-1] != title[0]:
        return line
    return title.strip(title[0])
