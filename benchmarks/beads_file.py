"""What a tracker's file of 6,000 beads costs to bring in and to give back.

An import is compared with the least that any import has to do: parse the lines, and COPY the same rows into the same
tables. Every round has fresh databases; all parts of a round follow each other.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table

from benchmarks.parts.bench import Bench
from benchmarks.parts.figures import Row, median, median_ratio
from benchmarks.parts.place import Place
from benchmarks.parts.waiting import BenchmarkError
from dispatch.exchange import export_project, import_file
from dispatch.interop import read_entries
from dispatch.models.identity import ProjectId
from dispatch.store import Store, make_engine, schema

BEADS, ROUNDS = 6_000, 3
SHORT_BEADS, SHORT_ROUNDS = 60, 1
PROJECT = ProjectId("bench")
_TABLES = (schema.projects, schema.beads, schema.dependencies)
_LEASE = timedelta(seconds=45)

PARSE, COPY, LEAST = "parse the lines", "COPY the same rows", "both: the least of an import"
READ, IMPORT, AGAIN = "read and check the file", "import", "import again, unchanged"
EXPORT, READY = "export", "list what is ready"

Seconds = dict[str, list[float]]


def measure(bench: Bench) -> list[Row]:
    """Return the rows of all parts."""
    beads, rounds = (SHORT_BEADS, SHORT_ROUNDS) if bench.short else (BEADS, ROUNDS)
    file = bench.directory() / "issues.jsonl"
    _make_file(file, beads)
    seconds: Seconds = defaultdict(list)
    for number in range(rounds):
        _round(bench.place(), number, file, seconds)
    seconds[LEAST] = [sum(pair) for pair in zip(seconds[PARSE], seconds[COPY], strict=True)]
    note = f"{beads:,} beads, median of {rounds}"
    return [
        _row(seconds, PARSE, note=note),
        _row(seconds, COPY, note=note),
        _row(seconds, LEAST, note=note),
        _row(seconds, READ, PARSE, note=note),
        _row(seconds, IMPORT, LEAST, note=note),
        _row(seconds, AGAIN, IMPORT, note=note),
        _row(seconds, EXPORT, PARSE, note=note),
        _row(seconds, READY, PARSE, note=note),
    ]


def _row(seconds: Seconds, part: str, base: str = "", *, note: str) -> Row:
    ratio = median_ratio(seconds[part], seconds[base]) if base else None
    return Row(name=part, value=median(seconds[part]) * 1000, unit="ms", ratio=ratio, base=base, note=note)


def _round(place: Place, number: int, file: Path, seconds: Seconds) -> None:
    def spend(part: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        seconds[part].append(time.perf_counter() - began)

    imported = Store(make_engine(place.database(f"imported_{number}")), lease=_LEASE)
    copied = make_engine(place.database(f"copied_{number}"))
    try:
        imported.projects.add(PROJECT, file.parent, "bench")
        copied.connect().close()
        spend(PARSE, lambda: _parse(file))
        spend(READ, lambda: list(read_entries(file)))
        spend(IMPORT, lambda: import_file(imported, PROJECT, file))
        rows = {table.name: _copy_out(imported.engine, table) for table in _TABLES}
        spend(COPY, lambda: _copy_in(copied, rows))
        spend(AGAIN, lambda: import_file(imported, PROJECT, file))
        spend(EXPORT, lambda: list(export_project(imported, PROJECT)))
        spend(READY, lambda: imported.reading.ready(PROJECT))
        _require_same(imported.engine, copied)
    finally:
        imported.close()
        copied.dispose()


def _parse(file: Path) -> list[Any]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _columns(table: Table) -> str:
    return ", ".join(column.name for column in table.columns if column.computed is None)


def _copy_out(engine: Engine, table: Table) -> list[bytes]:
    """Return the rows of a table as PostgreSQL writes them."""
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY {table.name} ({_columns(table)}) TO STDOUT") as blocks:
            return [bytes(block) for block in blocks]


def _copy_in(engine: Engine, rows: dict[str, list[bytes]]) -> None:
    """Write them into the same tables of another database, in one transaction."""
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        for table in _TABLES:
            with cursor.copy(f"COPY {table.name} ({_columns(table)}) FROM STDIN") as copy:
                for block in rows[table.name]:
                    copy.write(block)


def _require_same(one: Engine, other: Engine) -> None:
    for table in _TABLES:
        if sorted(_copy_out(one, table)) != sorted(_copy_out(other, table)):
            raise BenchmarkError(f"the COPY of {table.name} is not what was imported")


def _make_file(path: Path, count: int) -> None:
    """Write beads like those of a real tracker: two in five depend on an earlier one, texts of half a kilobyte."""
    chance = random.Random(6000)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            bead = {
                "id": f"bench-{number}",
                "title": f"Bead number {number}",
                "description": "word " * 100,
                "status": chance.choice(["open", "closed"]),
                "priority": chance.randrange(5),
                "issue_type": "task",
                "created_at": (began + timedelta(seconds=number)).isoformat(),
                "dependencies": _dependencies(chance, number),
            }
            file.write(json.dumps(bead) + "\n")


def _dependencies(chance: random.Random, number: int) -> Sequence[dict[str, str]]:
    if number <= 10 or chance.random() >= 0.4:
        return []
    kind = chance.choice(["blocks", "parent-child"])
    target = f"bench-{chance.randrange(number)}"
    return [{"issue_id": f"bench-{number}", "depends_on_id": target, "type": kind}]
