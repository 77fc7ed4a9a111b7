"""A rule of the protocol taken out: what is changed in which file, and the tests that must fail then."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Change:
    """One text of a file below the root, found there exactly once, and what takes its place."""

    file: str
    old: str
    new: str

    def problem(self, root: Path = ROOT) -> str | None:
        """Say why this change cannot be made, or None."""
        path = root / self.file
        if not path.is_file():
            return f"there is no file {self.file}"
        found = path.read_text().count(self.old)
        if found != 1:
            return f"{self.file} has this text {found} times instead of once:\n{self.old}"
        return "it changes nothing" if self.old == self.new else None

    def applied(self, text: str) -> str:
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A part of a rule taken out.

    `without` says what is missing then, `fault` which fault the tests play. Every one of the tests, each named
    `file::function` or `file::Class::function` and perhaps `[parameters]`, passes on the code as it is and fails on
    the changed code.
    """

    rule: int
    without: str
    fault: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]

    def mutated(self, root: Path = ROOT) -> dict[str, str]:
        """Return the changed files below `root` with their new text."""
        files: dict[str, str] = {}
        for change in self.changes:
            text = files.get(change.file) or (root / change.file).read_text()
            files[change.file] = change.applied(text)
        return files


def taken_out(
    rule: int,
    without: str,
    file: str,
    old: str,
    new: str,
    *,
    fault: str,
    tests: list[str],
    also: tuple[Change, ...] = (),
) -> Mutation:
    """Make a mutation of one change, and of those that belong to it."""
    changes = (Change(file, old, new), *also)
    return Mutation(rule=rule, without=without, fault=fault, changes=changes, tests=tuple(tests))


def names_of_tests(path: Path) -> Iterator[str]:
    """Yield the names of the tests that a file defines, those in a class with the class before them."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name.startswith("test_"):
                    yield f"{node.name}::{inner.name}"
