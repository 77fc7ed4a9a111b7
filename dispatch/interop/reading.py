"""Reading a beads file, a line at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dispatch.interop.edges import take_dependencies
from dispatch.interop.entries import BeadEntry, Entry, MemoryEntry, Problem
from dispatch.interop.fields import FieldReader, shown, storable
from dispatch.interop.intake import take_bead
from dispatch.interop.lines import is_utf16, numbered_lines, parse_object

_ISSUE = "issue"
_MEMORY = "memory"


def read_entries(lines: Iterable[bytes] | Path | str) -> Iterator[Entry]:
    """Yield the entries of a beads file in its order: each warning about a line just before the line's entry.

    `lines` is a path, or lines of bytes. Blank lines and headers (`_schema`) yield nothing. Of a line that is refused
    only its problems are yielded. When an id comes twice, both beads are yielded, with a warning before the second:
    the later one counts. Raises BadInputError when a path cannot be read.
    """
    seen: dict[tuple[str, str], int] = {}
    for number, raw in numbered_lines(lines):
        if number == 1 and is_utf16(raw):
            yield Problem(1, None, "the file is not UTF-8 but UTF-16 or UTF-32", "save it as UTF-8", fatal=True)
            return
        parsed = parse_object(number, raw)
        if isinstance(parsed, Problem):
            yield parsed
        elif parsed is not None:
            yield from _read_object(number, *parsed, seen)


def _read_object(number: int, text: str, document: dict[str, Any], seen: dict[tuple[str, str], int]) -> Iterator[Entry]:
    if "_schema" in document and "id" not in document:
        return
    kind = document.get("_type")
    if kind == _MEMORY:
        yield from _read_memory(number, text, document, seen)
    elif kind in (None, "", _ISSUE):
        yield from _read_bead(number, text, document, seen)
    else:
        yield Problem(number, None, f"_type is {shown(kind)}", "only issue and memory are known", fatal=True)


def _read_bead(number: int, text: str, document: dict[str, Any], seen: dict[tuple[str, str], int]) -> Iterator[Entry]:
    reader = FieldReader(document, number)
    bead = take_bead(reader)
    dependencies = take_dependencies(reader, bead.id)
    if reader.refusal is None:
        _note_repetition(reader, number, (_ISSUE, bead.id), seen)
    yield from reader.problems
    if reader.refusal is None:
        yield BeadEntry(number, text, document, bead, dependencies)


def _read_memory(number: int, text: str, document: dict[str, Any], seen: dict[tuple[str, str], int]) -> Iterator[Entry]:
    reader = FieldReader(document, number)
    key, value = reader.text("key"), _memory_value(reader)
    if not key and reader.refusal is None:
        reader.refuse("this memory has no key", "write one")
    if reader.refusal is None:
        _note_repetition(reader, number, (_MEMORY, key), seen)
    yield from reader.problems
    if reader.refusal is None:
        yield MemoryEntry(number, key, value, text)


def _memory_value(reader: FieldReader) -> Any:
    """Return what is remembered: any JSON value, cleaned; a missing one is an empty text."""
    value = reader.document.get("value", "")
    return reader.cleaned(value, "value") if isinstance(value, str) else storable(value)


def _note_repetition(reader: FieldReader, number: int, key: tuple[str, str], seen: dict[tuple[str, str], int]) -> None:
    if key in seen:
        what = "id" if key[0] == _ISSUE else f"memory key {shown(key[1])}"
        reader.warn(f"the {what} is on line {seen[key]} too, and this later line counts", "remove one of the two")
    seen[key] = number
