"""How a program that only writes text says how its run ended: in marked lines of its last message.

`dispatch.context.ending` tells the program what to write.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dispatch.context import LAST_WORD
from dispatch.models.messages import LessonEvent, ResultEvent
from workers.runners.asking import asks, question_of
from workers.runners.programs.base import Spoken
from workers.runners.programs.causes import cause_of

MAX_SUMMARY = 4000
"""Characters of what a program says of its work."""
MAX_CAUSE = 200
_WORDS = "completed|nothing[ _-]to[ _-]do|needs[ _-]input|failed|approved|rejected|lesson"
_MARKED = re.compile(
    rf"^[\s>*_`#-]*{re.escape(LAST_WORD)}[\s*_`]*({_WORDS})\b[\s*_`]*(?:[:\u2013\u2014-][\s*_`]*)?(.*)$", re.IGNORECASE
)
_FENCE = re.compile(r"^\s*(?:`{3,}|~{3,})\w*\s*$")


@dataclass(frozen=True, slots=True)
class Marked:
    """One marked line and the lines behind it."""

    word: str
    text: str


def marked_lines(message: str) -> Iterator[Marked]:
    """Return what a message says in marked lines, each with what follows it up to the next one."""
    word, lines = "", list[str]()
    for line in message.splitlines():
        found = _MARKED.match(line)
        if found is not None:
            if word:
                yield Marked(word, _text(lines))
            word, lines = re.sub("[ -]", "_", found[1].lower()), [found[2]]
        elif word and not _FENCE.match(line):
            lines.append(line)
    if word:
        yield Marked(word, _text(lines))


def lessons_of(message: str) -> list[LessonEvent]:
    """Return the lessons that a message tells."""
    told = (marked.text.partition(":") for marked in marked_lines(message) if marked.word == "lesson")
    return [LessonEvent(title=title.strip(), detail=detail.strip() or title.strip()) for title, _, detail in told]


def result_of(spoken: Spoken, *, is_review: bool) -> ResultEvent | None:
    """Return how a run ended by what its program said; None: it said nothing, and its exit decides.

    A reviewer has to say a verdict, since to complete without one means to approve.
    """
    if spoken.failure:
        cause = cause_of(spoken.failure)
        return ResultEvent(outcome="failed", cause=cause, summary=spoken.failure[:MAX_SUMMARY])
    marked = [one for one in marked_lines(spoken.message) if one.word != "lesson"]
    if marked and not (is_review and marked[-1].word in ("completed", "nothing_to_do")):
        return _in_words(marked[-1], spoken.message)
    if spoken.denied and (not spoken.message or asks(spoken.message)):
        return ResultEvent(outcome="needs_input", question=_question_of_denied(spoken))
    if is_review:
        summary = f"The reviewer ended without a verdict. It said: {spoken.message[-500:]}"
        return ResultEvent(outcome="failed", cause="no verdict", summary=summary)
    return ResultEvent(outcome="completed", summary=spoken.message[-500:].strip()) if spoken.message else None


def _in_words(marked: Marked, message: str) -> ResultEvent:
    match marked.word:
        case "needs_input":
            return ResultEvent(outcome="needs_input", question=question_of(marked.text or message))
        case "failed":
            cause = (marked.text.splitlines() or ["failed"])[0][:MAX_CAUSE]
            return ResultEvent(outcome="failed", cause=cause, summary=marked.text)
        case "approved":
            return ResultEvent(outcome="completed", verdict="approved", summary=marked.text)
        case "rejected":
            return ResultEvent(outcome="completed", verdict="rejected", summary=marked.text)
        case word:
            return ResultEvent(outcome="completed", nothing_to_do=word == "nothing_to_do", summary=marked.text)


def _question_of_denied(spoken: Spoken) -> str:
    asked = "; ".join(dict.fromkeys(spoken.denied))
    words = f"It asked for what nobody allowed: {asked}. Allow it in the program's own configuration, or say how to do"
    return question_of(f"{spoken.message}\n\n{words} without.")


def _text(lines: list[str]) -> str:
    return "\n".join(lines).strip(" \t\n*_`")[:MAX_SUMMARY]
