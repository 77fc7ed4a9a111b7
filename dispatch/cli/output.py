"""How results reach the user: JSON, tables on a terminal, plain lines in a pipe. Messages go to standard error."""

import dataclasses
import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import typer

_BREAKS = re.compile(r"[\s\x00-\x1f]+")
_KEPT_CONTROLS = "\n\t"


def is_terminal() -> bool:
    """Tell whether a human reads standard output."""
    return sys.stdout.isatty()


def say(message: str) -> None:
    """Tell the user something that is not the result."""
    typer.echo(visible(message), err=True)


def write(line: str = "") -> None:
    """Write a line of the result."""
    typer.echo(visible(line))


def write_json(value: Any) -> None:
    """Write the result as one JSON document: times in ISO 8601, durations in seconds."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False, indent=2 if is_terminal() else None))


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Write rows: a table on a terminal, else a line a row with tabs between the cells and no heading.

    When there are none, `empty` is said on standard error.
    """
    if not rows:
        say(empty)
        return
    cells = [[cell(value) for value in row] for row in rows]
    if not is_terminal():
        for line in cells:
            typer.echo("\t".join(line))
        return
    # rich takes a tenth of a second to import; a pipe does not have to pay for it.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in cells:
        table.add_row(*map(Text, line))
    Console().print(table)


def visible(text: str) -> str:
    """Return a text as a terminal may safely show it: control characters, as in titles, are spelt out."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in _KEPT_CONTROLS else repr(character)[1:-1]
        for character in text
    )


def cell(value: object) -> str:
    """Return a value as one line without tabs."""
    match value:
        case None:
            return ""
        case datetime():
            return moment(value)
        case list() | tuple():
            return ", ".join(cell(member) for member in value)
        case _:
            return visible(_BREAKS.sub(" ", str(value)))


def moment(value: datetime | None) -> str:
    """Return a moment for a human: to the second, in UTC; a dash for none."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if value else "-"


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return float(value)
        case UUID() | Path():
            return str(value)
        case Mapping():
            return {str(key): plain(member) for key, member in value.items()}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _ if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        case _:
            return [plain(member) for member in value]
