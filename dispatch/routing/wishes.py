"""Where a text speaks to somebody: the forms in which titles and descriptions ask for a persona.

Everything here only finds candidates; whether one names anybody is for the vocabulary. Source: SPEC, "Routing".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dispatch.models.bead import MAX_TITLE
from dispatch.routing.vocabulary import LONGEST_NAME, Words

READ_CHARACTERS = 8_000
"""Of a description; what an agent's log adds far below is nobody's wish."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A name in a place where a persona may be asked for, and which of a persona's words mean it there."""

    written: str
    words: Words


_NAME = r"(?P<name>(?:default/)?[A-Za-z0-9]++(?:[ _-]{1,2}[A-Za-z0-9]++){0,4}?)"
_THE = r"(?:the\s+|our\s+|an?\s+)?"
_START = r"(?:^|[.!?:;\])]\s+|\s-+\s+|\()[\s*_#]*"
_POLITE = r"(?:please[,\s]+|kindly\s+|(?:can|could|would)\s+you\s+(?:please\s+)?|you\s+(?:should|must|may)\s+)?"
_ABOUT = (
    r"(?:(?:(?:this|the|a)\s+)?(?:task|bead|ticket|issue|job|work)|this|that|it)\s+(?:is\s+)?"
    r"(?:(?:meant|intended|only|work|a\s+(?:task|job|bead))\s+)*"
)
_FOR_NAMED_AGENT = rf"for\s+{_THE}{_NAME}[ -]agent\b"
_FLAGS = re.IGNORECASE

_TAGS = re.compile(r"\s*(?:\[[^\[\]\n]{1,80}\](?![(:])\s*)+")
_TAG = re.compile(r"\[([^\[\]\n]+)\]")
_HEAD = rf"(?:(?:{_ABOUT})?for\s+{_THE})?{_NAME}[*_]*[ \t]*:[*_]*[ \t]+[^\s/]"
_HEADED = re.compile(rf"[\s*_#]*{_HEAD}", _FLAGS)
_HEADED_LINES = re.compile(rf"^[ ]{{0,3}}(?:\*\*|__|\#+[ ])?{_HEAD}", _FLAGS | re.MULTILINE)
_ASKED = re.compile(rf"{_START}{_POLITE}ask\s+{_THE}{_NAME}\s+to\b", _FLAGS)
_BOLD = re.compile(rf"(?:\*\*|__)\s*{_FOR_NAMED_AGENT}\s*[:.!]?\s*(?:\*\*|__)", _FLAGS)
_MEANT_FOR = re.compile(rf"\b{_ABOUT}{_FOR_NAMED_AGENT}", _FLAGS)
_BEGINS_FOR = re.compile(rf"{_START}{_FOR_NAMED_AGENT}(?=\s*(?:$|please\b|[:.,;!?)\]*_-]))", _FLAGS)
_ENDS_FOR = re.compile(rf"\b{_FOR_NAMED_AGENT}(?=\s*(?:$|[.!;]))", _FLAGS)
_TITLE_BEGINS_FOR = re.compile(rf"[\s*_#]*{_FOR_NAMED_AGENT}", _FLAGS)
_TITLE_ENDS_FOR = re.compile(rf"\b{_FOR_NAMED_AGENT}(?=\s*[:,)\]-])", _FLAGS)

_SENTENCE = re.compile(r"\bask\s[^\n]{1,80}\sto\b|\bfor\s[^\n]{1,80}[\s-]agent\b")
"""What a line in lower case holds if any of the forms below may be in it; tried first, for it is cheap."""
_IN_SENTENCES = (_ASKED, _MEANT_FOR, _BEGINS_FOR, _ENDS_FOR)

_CODE = re.compile(r"^[ \t]*(?P<fence>```|~~~).*?(?:^[ \t]*(?P=fence)[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_NOT_SPOKEN = re.compile(r"(?:\s*(?:[-+*•]|\d+[.)])\s|\s*[>|]|\t| {4})")
"""A list item, a quotation, a row of a table, indented code: part of a text, spoken to nobody."""


def title_wishes(title: str, *, auto_filed: bool) -> Iterator[Wish]:
    """Yield what a title may ask for. In an auto-filed one only a persona's own name in brackets does: other tags name
    the part that failed.
    """
    line = title[:MAX_TITLE].strip()
    tags, rest = _leading_tags(line)
    for tag in tags:
        yield Wish(tag, Words.NAMES if auto_filed else Words.AREAS)
    yield from _heading(rest)
    if not _SENTENCE.search(rest.lower()):
        return
    for form in (_BOLD, *_IN_SENTENCES, _TITLE_ENDS_FOR):
        yield from (Wish(found["name"], Words.AREAS) for found in form.finditer(rest))
    begins = _TITLE_BEGINS_FOR.match(rest)
    if begins:
        yield Wish(begins["name"], Words.AREAS)


def description_wishes(description: str) -> Iterator[Wish]:
    """Yield what a description may ask for: its first line as a title does, all of it by name or in whole sentences."""
    text = _CODE.sub("", description[:READ_CHARACTERS]).lstrip("\n")
    if not text.strip():
        return
    first = text.split("\n", 1)[0]
    if not _NOT_SPOKEN.match(first):
        tags, rest = _leading_tags(first)
        for tag in tags:
            yield Wish(tag, Words.AREAS)
        yield from _heading(rest)
    yield from (Wish(found["name"], Words.NAMES) for found in _HEADED_LINES.finditer(text))
    if _SENTENCE.search(text.lower()):
        for line in text.split("\n"):
            yield from _sentences(line)


def _sentences(line: str) -> Iterator[Wish]:
    """Yield whom one line of a description speaks to."""
    if _SENTENCE.search(line.lower()):
        for form in (_BOLD,) if _NOT_SPOKEN.match(line) else (_BOLD, *_IN_SENTENCES):
            yield from (Wish(found["name"], Words.AREAS) for found in form.finditer(line))


def _leading_tags(line: str) -> tuple[list[str], str]:
    """Return the names in brackets that a line begins with, and the rest of it."""
    tags = _TAGS.match(line)
    if tags is None:
        return [], line
    return _TAG.findall(tags.group()), line[tags.end() :]


def _heading(line: str) -> Iterator[Wish]:
    """Yield the name before a colon that a line begins with. An area stands there as the topic of what follows."""
    found = _HEADED.match(line[: 3 * LONGEST_NAME])
    if found:
        yield Wish(found["name"], Words.ALIASES)
