"""The part of a long output that matters: the lines that name failures first, then its end, where programs sum up."""

import re

_FAILURES = re.compile(
    r"""
      ^E\s{2,}\S                                   # pytest: what an assertion saw
    | ^\s*(FAILED|ERROR|FAIL|PANIC|XPASS)\b        # pytest, unittest, Go, Rust, TAP-like summaries
    | ^\s*---\s+FAIL:                              # Go
    | ^\s*not\ ok\b                                # TAP
    | ^\s*[\u2717\u2718\u2715\u00d7\u25cf]\s                                # JavaScript runners
    | \b[A-Z]\w*(Error|Exception|Failure)\b        # Python, Java, JavaScript
    | \b(assertion|assert)\b.*\bfailed\b
    | \b(error|fatal(\ error)?)(\[\w+\])?:\s       # compilers, make, git
    | \bpanicked\ at\b | ^panic:                   # Rust, Go
    | ^make(\[\d+\])?:\ \*\*\*                     # make
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST_LINE = 400
_MOST_OF_BUDGET = 4
"""The named lines take at most one part in so many of the budget."""
SHORT = 2_000
"""Characters of an output that is shown as it is."""


def what_matters(output: str, budget: int) -> str:
    """Return at most `budget` characters of an output: whole when it is short, else failing lines and the end."""
    if len(output) <= SHORT:
        return output
    named = _named(output, budget // _MOST_OF_BUDGET)
    head = f"Lines that name a failure:\n{named}\n\nThe end of the output:\n" if named else ""
    return head + output[-(budget - len(head)) :]


def _named(output: str, room: int) -> str:
    """Return the first lines that name a failure, each once, as far as they have room."""
    lines: dict[str, None] = {}
    for line in output.splitlines():
        told = line.rstrip()[:_LONGEST_LINE]
        if told in lines or not _FAILURES.search(line[: 2 * _LONGEST_LINE]):
            continue
        room -= len(told) + 1
        if room < 0:
            break
        lines[told] = None
    return "\n".join(lines)
