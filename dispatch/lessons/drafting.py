"""What may be stored as a lesson: short words, in plain text."""

import hashlib
import re
from dataclasses import replace
from typing import Final

from dispatch.errors import BadInputError
from dispatch.models.lesson import LessonDraft

LONGEST_CATEGORY: Final = 40
LONGEST_TITLE: Final = 200
LONGEST_DETAIL: Final = 10_000
"""Characters; what is longer is cut, and says so."""
GENERAL: Final = "general"
_CATEGORY = re.compile(r"[^a-z0-9]+")
_UNREADABLE = re.compile("[\0\ud800-\udfff]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def drafted(category: str, title: str, detail: str) -> LessonDraft:
    """Return a lesson as it is stored; without a title the first line of the detail is that.

    Raises `BadInputError` when there is neither.
    """
    detail = _UNREADABLE.sub("\ufffd", detail).strip()
    line = one_line(title) or one_line(detail.split("\n", 1)[0])
    if not line:
        raise BadInputError(place="a lesson", problem="it says nothing", cure="Give it a title, and a detail.")
    name = _CATEGORY.sub("-", category.lower()).strip("-")[:LONGEST_CATEGORY].rstrip("-")
    return LessonDraft(
        category=name or GENERAL, title=shortened(line, LONGEST_TITLE), detail=shortened(detail, LONGEST_DETAIL)
    )


def fingerprint(draft: LessonDraft) -> str:
    """Return what two lessons have in common that say the same, whatever their case and spaces."""
    same = replace(draft, title=_folded(draft.title), detail=_folded(draft.detail))
    words = "\0".join((same.category, same.title, same.detail))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()


def one_line(text: str) -> str:
    """Return a text as one line without control characters, those that turn the direction of writing included."""
    return " ".join(_UNPRINTABLE.sub(" ", _UNREADABLE.sub("\ufffd", text)).split())


def shortened(text: str, room: int) -> str:
    """Return a text in at most `room` characters; one that was cut says so."""
    if len(text) <= room:
        return text
    note = f" [... {len(text):,} characters in all]"
    return f"{text[: max(0, room - len(note))].rstrip()}{note}"[:room]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
