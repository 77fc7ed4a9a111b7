"""`python -m benchmarks [NAME or FILE ...] [--short] [--out FILE]`: measure, print one table, write it as JSON.

Without names all are measured. A benchmark fails on an error, never because of a time.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import beads_file, bug_routing, costs, loops, memory, retrieval, tick, walk
from benchmarks.parts.bench import Bench
from benchmarks.parts.figures import Row
from benchmarks.parts.report import Measured, show, write

BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    "tick": tick.measure,
    "beads_file": beads_file.measure,
    "bug_routing": bug_routing.measure,
    "loops": loops.measure,
    "retrieval": retrieval.measure,
    "memory": memory.measure,
    "costs": costs.measure,
    "walk": walk.measure,
}

AGENTS = 8
"""Pool processes of the agent worker on both sides: an agent waits for its model most of the time, so that even a host
of two cores has several for each."""
_PAGE = 170
"""Columns of the table where there is no terminal."""


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PAGE)
    measured: list[Measured] = []
    try:
        with Bench(short=chosen.short, agents=chosen.agents) as bench:
            for name in chosen.names:
                console.print(f"{name} ...", style="dim")
                began = time.monotonic()
                rows = BENCHMARKS[name](bench)
                measured.append(Measured(benchmark=name, seconds=time.monotonic() - began, rows=rows))
    finally:
        if measured:
            show(measured, console)
    write(measured, chosen.out, short=chosen.short)
    console.print(f"\nAlso in {chosen.out}", style="dim")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for; `names` in the order of BENCHMARKS, whatever order they were given in."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", type=_name, help=f"of {', '.join(BENCHMARKS)}; all unless given")
    parser.add_argument("--short", action="store_true", help="the smallest form, to see that it works")
    parser.add_argument("--out", type=Path, default=Path(".bench/results.json"), help="where the JSON goes")
    parser.add_argument("--agents", type=int, default=AGENTS, help=f"agents of the deployment ({AGENTS})")
    chosen = parser.parse_args(arguments)
    chosen.names = [name for name in BENCHMARKS if name in chosen.names or not chosen.names]
    return chosen


def _name(given: str) -> str:
    """Return the benchmark that a name or a file means."""
    name = Path(given).stem
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{given} is no benchmark; there are {', '.join(BENCHMARKS)}")
    return name


if __name__ == "__main__":
    main()
