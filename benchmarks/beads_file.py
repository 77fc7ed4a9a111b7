"""What a beads file of 6,000 beads costs to bring in and to give back, against reading it alone.

Prints a table of ratios measured in one run, and the same as JSON on the last line. The seconds are this machine's; the
ratios are what to compare.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dispatch import embedded
from dispatch.exchange import export_project, import_file
from dispatch.interop import read_entries
from dispatch.models.identity import ProjectId
from dispatch.store import Store, make_engine, upgrade

BEADS = 6_000
PROJECT = ProjectId("bench")


def make_file(path: Path) -> None:
    """Write beads like those of a real tracker: two in five depend on an earlier one, texts of half a kilobyte."""
    chance = random.Random(6000)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for number in range(BEADS):
            bead = {
                "id": f"bench-{number}",
                "title": f"Bead number {number}",
                "description": "word " * 100,
                "status": chance.choice(["open", "closed"]),
                "priority": chance.randrange(5),
                "issue_type": "task",
                "created_at": (began + timedelta(seconds=number)).isoformat(),
            }
            if number > 10 and chance.random() < 0.4:
                kind = chance.choice(["blocks", "parent-child"])
                target = f"bench-{chance.randrange(number)}"
                bead["dependencies"] = [{"issue_id": bead["id"], "depends_on_id": target, "type": kind}]
            file.write(json.dumps(bead) + "\n")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(directory: Path) -> dict[str, float]:
    """Return the seconds of each part."""
    file = directory / "issues.jsonl"
    make_file(file)
    servers = embedded.ensure(directory / "home")
    engine = make_engine(servers.database_url)
    upgrade(engine)
    store = Store(engine, lease=timedelta(seconds=45))
    store.projects.add(PROJECT, directory, "bench")
    return {
        "read alone": seconds(lambda: list(read_entries(file))),
        "import": seconds(lambda: import_file(store, PROJECT, file)),
        "import again, unchanged": seconds(lambda: import_file(store, PROJECT, file)),
        "export": seconds(lambda: list(export_project(store, PROJECT))),
        "ready list": seconds(lambda: store.reading.ready(PROJECT)),
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as name:
        directory = Path(name)
        try:
            took = measure(directory)
        finally:
            embedded.purge(directory / "home")
    base = took["read alone"]
    print(f"{BEADS} beads               seconds   against reading alone")
    for part, spent in took.items():
        print(f"{part:<24} {spent:8.2f} {spent / base:10.1f}x")
    print(json.dumps({"benchmark": "beads_file", "beads": BEADS, "ratios": {k: v / base for k, v in took.items()}}))


if __name__ == "__main__":
    main()
