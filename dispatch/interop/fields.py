"""The fields of one document: taken by name and type, with a note of everything that is wrong.

Two strictnesses. A field that decides whether, when or by whom a bead is worked on refuses the whole line when it
cannot be understood: guessing would start the wrong work. Any other field is left out with a warning.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dispatch.errors import BadInputError
from dispatch.interop.entries import Problem
from dispatch.interop.lines import type_name
from dispatch.interop.times import parse_time

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_SHOWN = 40


def is_storable(text: str) -> bool:
    """Say whether PostgreSQL takes the text: no NUL, no lone surrogate."""
    return (text.isascii() and "\0" not in text) or not _UNSTORABLE.search(text)


def storable(value: Any) -> Any:
    """Return a JSON value as PostgreSQL takes it: U+FFFD for NUL and lone surrogates, None for infinite numbers."""
    match value:
        case str():
            return value if is_storable(value) else _UNSTORABLE.sub(_REPLACEMENT, value)
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [storable(member) for member in value]
        case dict():
            return {storable(key): storable(member) for key, member in value.items()}
        case _:
            return value


def shown(value: object) -> str:
    """Return a value as a message can hold it: short, and printable whatever it holds."""
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}..."


def bad_input(problem: Problem, place: str) -> BadInputError:
    """Return the error that tells of a problem which is not one of a file."""
    return BadInputError(place=place, problem=problem.problem, cure=f"{problem.cure[:1].upper()}{problem.cure[1:]}.")


class FieldReader:
    """Takes fields out of one document. `problems` fills up on the way; a field that is null counts as missing."""

    def __init__(self, document: Mapping[str, Any], line: int | None) -> None:
        self.document = document
        self.line = line
        self.bead_id: str | None = None
        self.problems: list[Problem] = []

    def warn(self, problem: str, cure: str) -> None:
        self.problems.append(Problem(self.line, self.bead_id, problem, cure, fatal=False))

    def refuse(self, problem: str, cure: str) -> None:
        self.problems.append(Problem(self.line, self.bead_id, problem, cure, fatal=True))

    @property
    def refusal(self) -> Problem | None:
        return next((problem for problem in self.problems if problem.fatal), None)

    def text(self, name: str, *, matters: bool = True) -> str:
        """Return a string field, cleaned, or "" when it is missing. `matters`: another type refuses the line."""
        value = self.document.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return self.cleaned(value, name)
        note = self.refuse if matters else self.warn
        note(f"{name} is {type_name(value)}", "write a string")
        return ""

    def cleaned(self, value: str, name: str) -> str:
        if is_storable(value):
            return value
        what = "NUL (\\u0000)" if "\0" in value else "half a surrogate pair"
        self.warn(f"{name} holds {what}, shown here as {_REPLACEMENT}", "remove it")
        return str(storable(value))

    def flag(self, name: str) -> bool:
        value = self.document.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.refuse(f"{name} is {type_name(value)}", "write true or false")
        return False

    def time(self, name: str, *, matters: bool = False) -> datetime | None:
        """Return a timestamp field, or None when it is missing. `matters`: an unreadable one refuses the line."""
        value = self.document.get(name)
        if value is None or value == "":
            return None
        note = self.refuse if matters else self.warn
        if not isinstance(value, str):
            note(f"{name} is {type_name(value)}", "write a timestamp such as 2026-01-31T12:00:00Z")
            return None
        try:
            return parse_time(value)
        except ValueError:
            note(f"{name} {shown(value)} is no timestamp", "write one such as 2026-01-31T12:00:00Z")
            return None
