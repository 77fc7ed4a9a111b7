"""What a run of the benchmarks leaves: a table to read, and the same as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.parts.figures import Row
from dispatch.version import VERSION

_REACHED = {True: "yes", False: "NO", None: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The rows of one benchmark, and how long it took."""

    benchmark: str
    seconds: float
    rows: Sequence[Row]


def show(measured: Sequence[Measured], console: Console) -> None:
    """Print one table of all rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("ratio", justify="right")
    for heading in ("against", "target", "reached", "note"):
        table.add_column(heading)
    for one in measured:
        table.add_row(f"[bold]{one.benchmark}[/bold] ({one.seconds:.0f} s)")
        for row in one.rows:
            table.add_row(*_cells(row))
    console.print(table)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{number(row.ratio)}x"
    target = "" if row.target is None else str(row.target)
    return f"  {row.name}", number(row.value), row.unit, ratio, row.base, target, _REACHED[row.reached], row.note


def number(value: float) -> str:
    """Write a number with about three digits that count, and none in the power of ten."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def as_json(measured: Sequence[Measured], *, short: bool) -> dict[str, Any]:
    """Return the whole run: what was measured, on what machine."""
    return {
        "version": VERSION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "short": short,
        "machine": {
            "cpus": os.cpu_count(),
            "memory": psutil.virtual_memory().total,
            "system": platform.platform(),
            "python": platform.python_version(),
            "load": os.getloadavg()[0],
        },
        "benchmarks": {
            one.benchmark: {"seconds": one.seconds, "rows": [row.as_json() for row in one.rows]} for one in measured
        },
    }


def write(measured: Sequence[Measured], path: Path, *, short: bool) -> None:
    """Write the run as JSON, its directory made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(measured, short=short), indent=2) + "\n")
