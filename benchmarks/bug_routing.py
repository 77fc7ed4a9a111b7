"""How often auto-filed bugs reach the role they belong to, over the reports in `tests/routing/reports`.

A bug that is left to the tester although its role could be told costs a detour, one that goes to a wrong role a run.
"""

import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.parts.bench import Bench
from benchmarks.parts.figures import Row, Target
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.routing import AutoBugRouter

REPORTS = Path(__file__).resolve().parents[1] / "tests" / "routing" / "reports"
SETS = ("tuning", "held_out", "second", "third")
UNCLEAR = "unclear"
LEAST_RIGHT, LEAST_ROUTED_RIGHT = 90.0, 99.0
"""Percent of all reports, and of those that were sent to a role."""

Confusion = Counter[tuple[str, str]]
"""How many reports of one role (first) were sent to another (second); `unclear`: left to the tester."""


@dataclass(frozen=True, slots=True)
class Report:
    """A bead as a program would file it, and the role it belongs to; empty: nobody can tell."""

    bead: Bead
    role: str


def measure(bench: Bench) -> list[Row]:
    """Print who was taken for whom, and return a row for each set of reports, for all, and for the time of one."""
    router = AutoBugRouter()
    found = {name: confusion(read_reports(name), router) for name in SETS}
    together = sum(found.values(), Confusion())
    print_confusion(together)
    rows = [_right(f"right, {name}", counts) for name, counts in found.items()]
    return [
        *rows,
        _right("right, all", together),
        _routed_right(together),
        _time(router, rounds=1 if bench.short else 5),
    ]


def read_reports(name: str) -> list[Report]:
    """Return the reports of a set, in the order of its files."""
    return [
        Report(
            Bead(
                id=BeadId(entry["id"]),
                title=entry["title"],
                description=entry["description"],
                labels=tuple(entry.get("labels", ())),
                issue_type="bug",
            ),
            entry["role"],
        )
        for path in sorted((REPORTS / name).glob("*.toml"))
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["report"]
    ]


def confusion(reports: Sequence[Report], router: AutoBugRouter) -> Confusion:
    routes = ((report.role, router.analyze_bug_for_routing(report.bead).persona_hint) for report in reports)
    return Counter((role or UNCLEAR, sent_to or UNCLEAR) for role, sent_to in routes)


def print_confusion(counts: Confusion) -> None:
    """Print a table: a line for what the reports are, a column for where they were sent."""
    names = sorted({name for pair in counts for name in pair}, key=lambda name: (name == UNCLEAR, name))
    table = Table(title="auto-filed bugs: what they are, and where they were sent", box=None, header_style="bold")
    for heading in ("", *names):
        table.add_column(heading, justify="right")
    for role in names:
        table.add_row(role, *(str(counts[role, sent_to] or ".") for sent_to in names))
    Console(width=120).print(table)


def _right(name: str, counts: Confusion) -> Row:
    right = sum(count for (role, sent_to), count in counts.items() if role == sent_to)
    target = Target(of="value", kind="at least", bound=LEAST_RIGHT) if name.endswith("all") else None
    return Row(name=name, value=100 * right / counts.total(), unit="%", target=target, note=f"of {counts.total()}")


def _routed_right(counts: Confusion) -> Row:
    routed = sum(count for (_, sent_to), count in counts.items() if sent_to != UNCLEAR)
    right = sum(count for (role, sent_to), count in counts.items() if role == sent_to != UNCLEAR)
    target = Target(of="value", kind="at least", bound=LEAST_ROUTED_RIGHT)
    return Row(name="right, of those sent to a role", value=100 * right / routed, unit="%", target=target)


def _time(router: AutoBugRouter, rounds: int) -> Row:
    reports = [report for name in SETS for report in read_reports(name)]
    began = time.perf_counter()
    for _ in range(rounds):
        for report in reports:
            router.analyze_bug_for_routing(report.bead)
    took = (time.perf_counter() - began) / rounds / len(reports)
    return Row(name="time of one report", value=took * 1e6, unit="us")
