"""The fingerprint of an action's result: equal for results that differ only in what changes by itself.

An agent that runs one failing test again and again is in a loop although the test prints its duration. Source: SPEC,
"Loops".
"""

import hashlib
import re

_PASSING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\x1b\[[0-9;?]*[ -/]*[@-~]",  # colours and cursor moves
        r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
        r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b",
        r"\b\d+(?:[.,]\d+)?\s?(?:ns|us|µs|ms|s|m|h|sec|secs|seconds?|min|mins|minutes?)\b",
        r"\b0x[0-9a-f]+\b",
        r"\b(?:pid|process)\W{0,3}\d+",
        r"(?:/private)?(?:/var)?/(?:tmp|folders)/[^\s'\":]+",
    )
)


def result_fingerprint(result: str) -> str:
    """Return 32 hexadecimal digits for a result, without its times, durations, addresses, pids and temporary paths."""
    for pattern in _PASSING:
        result = pattern.sub("~", result)
    return hashlib.sha256(result.encode("utf-8", "replace")).hexdigest()[:32]
