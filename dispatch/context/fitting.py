"""Making texts fit: into their room, into one line, and into Markdown that they cannot break out of.

Every function keeps to the characters it is given, and what it cuts says that it was cut, and how much.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

_LONGEST_RUN: Final = 19
"""Backticks in a row that a quoted text keeps; a longer row would ask for fences without bound."""
_LONG_RUN = re.compile("`{%d,}" % (_LONGEST_RUN + 1))  # noqa: UP031 - braces of the pattern
_UNREADABLE = re.compile("[\0\ud800-\udfff]")
_RUN = re.compile("`+")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")


class _HtmlBlock(NamedTuple):
    """A block of HTML that goes on over blank lines: how it begins, what ends it, and an end of it."""

    begins: re.Pattern[str]
    ends: re.Pattern[str]
    end: str


_HTML: Final = tuple(
    _HtmlBlock(re.compile(rf"^ {{0,3}}<{begins}", re.IGNORECASE), re.compile(ends, re.IGNORECASE), end)
    for begins, ends, end in (
        (r"(?:script|pre|style|textarea)(?:[\s>]|$)", r"</(?:script|pre|style|textarea)>", "</pre>"),
        (r"!--", r"-->", "-->"),
        (r"\?", r"\?>", "?>"),
        (r"![a-z]", r">", ">"),
        (r"!\[CDATA\[", r"\]\]>", "]]>"),
    )
)
_LEAST_ROOM: Final = 300
"""Characters under which no further item is begun: its head, fences, a note of what was cut, and a few words."""


def readable(text: str) -> str:
    """Return a text with U+FFFD for what files and servers do not take: NUL, and half a surrogate pair."""
    return _UNREADABLE.sub("\ufffd", text)


def one_line(text: str, room: int) -> str:
    """Return a text as one line of at most `room` characters."""
    line = " ".join(text.split())
    return line if len(line) <= room else f"{line[: room - 3]}..."


def shortened(text: str, room: int, *, keep_end: bool = False) -> str:
    """Return a text in at most `room` characters, cut at its end; with `keep_end` in its middle."""
    if len(text) <= room:
        return text
    longest_note = f"[... {len(text):,} of {len(text):,} characters left out ...]"
    kept = max(0, room - len(longest_note) - 2)
    tail = kept // 2 if keep_end else 0
    head = kept - tail
    cut = len(text) - kept
    note = f"[... {cut:,} of {len(text):,} characters left out ...]"
    parts = (text[:head].rstrip(), note, text[len(text) - tail :].lstrip() if tail else "")
    return "\n".join(part for part in parts if part)[:room]


def quoted(text: str, room: int, *, language: str = "text", keep_end: bool = False) -> str:
    """Return a text in a fenced block that nothing in it can end, in at most `room` characters with the fences.

    Rows of more than 19 backticks are shortened to that.
    """
    plain = _LONG_RUN.sub("`" * _LONGEST_RUN, text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    fence = "`" * max(3, 1 + max((len(run) for run in _RUN.findall(plain)), default=0))
    around = 2 * len(fence) + len(language) + 2
    return f"{fence}{language}\n{shortened(plain, room - around, keep_end=keep_end)}\n{fence}"


def markdown(text: str, room: int) -> str:
    """Return Markdown that is ours to trust, in at most `room` characters, with no fence and no HTML left open."""
    kept = shortened(text.strip(), room)
    end = _left_open(kept)
    if not end:
        return kept
    kept = shortened(text.strip(), room - len(end) - 1)
    closed = f"{kept}\n{_left_open(kept)}".rstrip()
    return closed if len(closed) <= room and not _left_open(closed) else quoted(text, room, language="markdown")


def _left_open(text: str) -> str:
    """Return what ends the fence, or the block of HTML, that a Markdown text leaves open; or nothing."""
    fence, html = "", None
    for line in text.splitlines():
        if html is not None:
            html = None if html.ends.search(line) else html
        elif fence:
            fence = "" if _ends_fence(line, fence) else fence
        elif found := _FENCE.match(line):
            fence = "" if found[1][0] == "`" and "`" in found[2] else found[1]
        else:
            html = next((kind for kind in _HTML if kind.begins.match(line) and not kind.ends.search(line)), None)
    return html.end if html is not None else fence


def _ends_fence(line: str, fence: str) -> bool:
    found = _FENCE.match(line)
    return found is not None and found[1][0] == fence[0] and len(found[1]) >= len(fence) and not found[2].strip()


Item = Callable[[int], str]
"""Makes its text in the characters that it is given."""


def listed(items: Sequence[Item], room: int, *, most: int, what: str, between: str = "\n\n") -> str:
    """Return items one after the other in at most `room` characters, `most` for each; say how many were left out.

    `what` names those: "older ones".
    """
    texts: list[str] = []
    left = room
    for number, item in enumerate(items):
        note = f"({len(items) - number} {what} left out.)"
        available = left - len(note) - 2 * len(between)
        if available < _LEAST_ROOM:
            texts.append(note)
            break
        texts.append(item(min(most, available)))
        left -= len(texts[-1]) + len(between)
    return between.join(texts)


def block(head: str, text: str, room: int, *, keep_end: bool = False) -> str:
    """Return a line of ours and below it a quoted text, in at most `room` characters; the line alone without a text."""
    line = one_line(head, _LEAST_ROOM // 3)
    return f"{line}\n\n{quoted(text, room - len(line) - 2, keep_end=keep_end)}" if text.strip() else line
