"""The lines of a beads file: where one ends, how long it may be, and whether it is a JSON object at all."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from dispatch.errors import BadInputError
from dispatch.interop.entries import Problem

MAX_LINE = 64 * 1024 * 1024
"""Bytes of a line, without its end."""
MAX_NESTING = 200
"""Levels of lists and objects. Deeper ones would overflow the stack of whoever handles the document later."""

_JSON_SPACE = " \t\r\n"
_LINE_END = b"\r\n"
_BYTE_ORDER_MARK = "\ufeff"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CONFLICT_MARKS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


class _Refused(Exception):
    """A line that is no JSON object which can be imported."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


class _ForeignConstant(ValueError):
    """NaN or an infinity: Python reads them, JSON has none."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ForeignConstant(name)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def numbered_lines(source: Iterable[bytes] | Path | str) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, from 1. Of a line over the limit only a beginning over the limit is read.

    Raises BadInputError when a path cannot be read.
    """
    if not isinstance(source, str | Path):
        yield from enumerate(source, start=1)
        return
    try:
        with Path(source).open("rb") as file:
            yield from enumerate(_bounded_lines(file), start=1)
    except OSError as error:
        raise BadInputError(
            place=source, problem=f"cannot be read ({error.strerror})", cure="Name a beads file, *.jsonl."
        ) from error


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    longest = MAX_LINE + len(_LINE_END)
    while raw := file.readline(longest):
        whole = raw.endswith(b"\n")
        yield raw
        while not whole and (rest := file.readline(longest)):
            whole = rest.endswith(b"\n")


def is_utf16(first_line: bytes) -> bool:
    """Say whether a file that begins so is UTF-16 or UTF-32: marked as such, or with a NUL beside its first letter."""
    return first_line.startswith(_UTF16_MARKS) or b"\0" in first_line[:2]


def parse_object(number: int, raw: bytes) -> tuple[str, dict[str, Any]] | Problem | None:
    """Return the text and the object of a line, the reason why there is none, or None for a blank line."""
    try:
        whole = _decode(raw.rstrip(_LINE_END))
        text = whole.removeprefix(_BYTE_ORDER_MARK).strip(_JSON_SPACE)
        return (text, _parse(text, column=1 + whole.index(text))) if text else None
    except _Refused as refused:
        return Problem(number, None, refused.problem, refused.cure, fatal=True)


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_LINE:
        raise _Refused("is longer than 64 MB", "shorten the bead or remove the line")
    if (nul := raw.find(b"\0")) >= 0:
        raise _Refused(f"holds a raw NUL at byte {nul + 1}", "remove it, or write \\u0000")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _Refused(f"is not UTF-8 from byte {error.start + 1} on", "save the file as UTF-8") from None


def _parse(text: str, column: int) -> dict[str, Any]:
    """Return the object that a text is; `column` is that of its first character."""
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        if text.startswith(_CONFLICT_MARKS):
            raise _Refused("is the mark of a merge conflict", "resolve the conflict") from None
        found = f"is not JSON ({error.msg} at column {error.pos + column})"
        raise _Refused(found, "repair or remove the line") from None
    except _ForeignConstant as error:
        raise _Refused(f"holds {error}, which JSON does not have", "write null or a number") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # the one left: the limit of Python on the digits of an integer
        raise _Refused("holds an integer of thousands of digits", "write it as a string") from None
    if not isinstance(value, dict):
        raise _Refused(f"is {type_name(value)}", "write one JSON object a line")
    if _is_too_deep(text, value):
        raise _too_deep()
    return value


def _too_deep() -> _Refused:
    return _Refused(f"is nested more than {MAX_NESTING} levels deep", "flatten it")


def _is_too_deep(text: str, document: dict[str, Any]) -> bool:
    if text.count("{") + text.count("[") <= MAX_NESTING:
        return False
    level: list[Any] = [document]
    for _ in range(MAX_NESTING):
        level = [inner for value in level for inner in _members(value) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _members(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def type_name(value: object) -> str:
    """Return what JSON calls the type of a parsed value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"
