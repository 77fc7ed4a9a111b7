"""The cause of a program's failure, in few words that are the same for the same cause: equal causes are counted."""

import re

_CAUSES = (
    (r"\b401\b|\b403\b|unauthori[sz]ed|invalid (?:x-)?api.?key|incorrect api key|authentication|not logged in"
     r"|/login|api key (?:is )?(?:missing|not set)|missing .{0,40}api.?key", "API key refused"),
    (r"insufficient.quota|credit balance|billing|\b402\b|usage limit", "no credit left"),
    (r"\b429\b|rate.?limit|too many requests|overloaded|\b529\b", "model overloaded"),
    (r"context.{0,20}(?:length|window)|prompt is too long|too many tokens", "context too long"),
    (r"model.{0,60}(?:not found|does not exist|not supported)|unknown model", "unknown model"),
    (r"disconnected|connect|network|timed? ?out|dns|econn|\b50[0234]\b|server error", "model unreachable"),
    (r"max.?turns", "turns used up"),
)  # fmt: skip
"""What tells a cause, in the order in which it is believed."""


def cause_of(message: str) -> str:
    """Return the cause that an error message of a program tells of."""
    for pattern, cause in _CAUSES:
        if re.search(pattern, message, re.IGNORECASE):
            return cause
    return "program error"
