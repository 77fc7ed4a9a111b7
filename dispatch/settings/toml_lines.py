"""Where each key stands in a TOML text, which the parser of the standard library does not tell."""

import re
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

KeyPath = tuple[str, ...]

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r]+|\#[^\n]*)
    | (?P<newline>\n)
    | (?P<string>\"\"\"(?:\\[\s\S]|[^\\])*?\"\"\"\"{0,2} | '''[\s\S]*?''''{0,2} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
    | (?P<sign>[\[\]{}=,.])
    | (?P<bare>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


_END = _Token("end", "", 0)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map every table and key of a valid TOML text to the line (from 1) where it first appears.

    Keys of inline tables are included; elements of arrays of values are not. The tables of an array stand under its key
    by their number: `("many", "0", "key")`. Give it only text that `tomllib` has accepted.
    """
    scan = _Scan(text)
    scan.document()
    return scan.lines


def syntax_fault(text: str, broken: tomllib.TOMLDecodeError) -> tuple[int, str]:
    """Return the line (from 1) of what `tomllib` refused in a text, and what it says of it."""
    at = re.search(r"\s*\((?:at line (\d+), column \d+|at end of document)\)", str(broken))
    line = int(at[1]) if at and at[1] else len(text.splitlines()) or 1
    return line, str(broken).replace(at[0], "") if at else str(broken)


class _Scan:
    """One pass over the tokens of a document, with one token of foresight."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._last_entries: dict[KeyPath, int] = {}
        self._tokens = _tokens(text)
        self._next = next(self._tokens, _END)

    def document(self) -> None:
        table: KeyPath = ()
        while self._next is not _END:
            if self._next.kind == "newline":
                self._take()
            elif self._next.text == "[":
                table = self._header()
            else:
                self._pair(table)

    def _take(self) -> _Token:
        taken = self._next
        self._next = next(self._tokens, _END)
        return taken

    def _header(self) -> KeyPath:
        line, brackets = self._next.line, 0
        while self._next.text == "[":
            self._take()
            brackets += 1
        path = self._key(())
        while self._next.text == "]":
            self._take()
        return self._new_entry(path, line) if brackets > 1 else path

    def _new_entry(self, array: KeyPath, line: int) -> KeyPath:
        self._last_entries[array] = self._last_entries.get(array, -1) + 1
        entry = self._last_entry(array)
        self.lines[entry] = line
        return entry

    def _last_entry(self, path: KeyPath) -> KeyPath:
        """Return the path of the last table so far of an array of tables; any other path as it is."""
        return (*path, str(self._last_entries[path])) if path in self._last_entries else path

    def _pair(self, table: KeyPath) -> None:
        path = self._key(table)
        self._take()  # the equals sign
        self._value(path)

    def _key(self, path: KeyPath) -> KeyPath:
        while self._next.kind in ("bare", "string"):
            part = self._take()
            path = (*self._last_entry(path), _key_text(part))
            self.lines.setdefault(path, part.line)
            if self._next.text == ".":
                self._take()
        return path

    def _value(self, path: KeyPath) -> None:
        if self._next.text == "{":
            self._inline_table(path)
        elif self._next.text == "[":
            self._array(path)
        else:
            while self._next is not _END and self._next.kind != "newline" and self._next.text not in (",", "]", "}"):
                self._take()

    def _inline_table(self, path: KeyPath) -> None:
        self._take()
        while self._next.text != "}":
            if self._next.kind in ("bare", "string"):
                self._pair(path)
            else:
                self._take()
        self._take()

    def _array(self, path: KeyPath) -> None:
        self._take()
        number = 0
        while self._next.text != "]":
            if self._next.kind == "newline" or self._next.text == ",":
                self._take()
                continue
            element = (*path, str(number))
            if self._next.text == "{":
                self.lines[element] = self._next.line
            self._value(element)
            number += 1
        self._take()


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "space":
            yield _Token(kind, match.group(), line)
        line += match.group().count("\n")


def _key_text(token: _Token) -> str:
    if token.kind == "bare":
        return token.text
    key: str = tomllib.loads(f"key = {token.text}")["key"]
    return key
