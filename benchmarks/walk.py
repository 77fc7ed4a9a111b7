"""Beads a second through the whole walk, against bare Celery chords with the same worker settings on the same broker.

A bead here is a `python` no-op: claimed, published, started, executed in a process of its own, reported, settled on
its own and fenced, closed. fsync and synchronous_commit stay on. The bare side is `chord([noop], body)`. Prints a
table, and the same as JSON on the last line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from celery import Celery, chord

from dispatch import embedded
from dispatch.bus.celery import make_app
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.importing import BeadRecord
from dispatch.settings import load_settings
from dispatch.wiring import System, open_system

PROJECT = ProjectId("bench")
ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = """
home = "{home}"
[dispatch]
tick_interval = "1s"
[workers.agents]
roles = ["bench"]
concurrency = {agents}
[runners.noop]
kind = "python"
target = "benchmarks.parts.noop:finish"
[roles.bench]
runners = ["noop"]
[projects.bench]
path = "{repository}"
default_role = "bench"
landing = "none"
"""


def make_repository(path: Path) -> None:
    path.mkdir()
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=path, check=True)
    (path / "README").write_text("bench\n")
    subprocess.run(["git", "add", "."], cwd=path, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "Begin"], cwd=path, check=True)


@contextmanager
def celery(environment: dict[str, str], *commands: list[str]) -> Iterator[None]:
    """Run Celery programs for a block, and end them."""
    log = Path(environment["BENCH_LOG"])
    started = []
    try:
        for command in commands:
            with log.open("ab") as output:
                started.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "celery", *command],
                        cwd=ROOT,
                        env=environment,
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                    )
                )
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=30)


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)


def add_beads(system: System, count: int) -> None:
    now = datetime.now(UTC)
    records = []
    for _ in range(count):
        bead_id = BeadId(f"bench-{uuid4().hex[:12]}")
        document = {"id": bead_id, "title": "Nothing", "status": "open", "priority": 2}
        bead = Bead(id=bead_id, title="Nothing", created_at=now)
        records.append(BeadRecord(bead=bead, text=json.dumps(document), document=document))
    system.store.imports.import_records(PROJECT, records)


def walk(system: System, count: int) -> float:
    """Return beads a second from the first claim to the last closing."""
    before = system.store.reading.counts(PROJECT).get("closed", 0)
    last = max((event.id for event in system.store.reading.events_after(0, limit=10**7)), default=0)
    add_beads(system, count)
    system.results.nudge()
    wait_for(lambda: system.store.reading.counts(PROJECT).get("closed", 0) >= before + count, 300, "the walk's end")
    events = system.store.reading.events_after(last, limit=10**7)
    claimed = [event.at for event in events if event.kind == "run.claimed"]
    closed = [event.at for event in events if event.kind == "bead.closed"]
    return count / (max(closed) - min(claimed)).total_seconds()


def latencies(system: System, count: int) -> list[float]:
    """Return the seconds from `add` to `run.started` of single beads on an idle system."""
    found = []
    for _ in range(count):
        before = system.store.reading.counts(PROJECT).get("closed", 0)
        last = max((event.id for event in system.store.reading.events_after(0, limit=10**7)), default=0)
        began = datetime.now(UTC)
        add_beads(system, 1)
        system.results.nudge()
        wait_for(
            lambda before=before: system.store.reading.counts(PROJECT).get("closed", 0) > before, 30, "one bead's end"
        )
        events = system.store.reading.events_after(last, limit=1000)
        started = next(event.at for event in events if event.kind == "run.started")
        found.append((started - began).total_seconds())
    return found


def bare(app: Celery, prefix: str, count: int) -> float:
    """Return bare chords a second, published as the dispatcher does: one by one."""
    client = app.backend.client
    key = f"{prefix}:bare-done"
    client.delete(key)
    began = time.perf_counter()
    for _ in range(count):
        header = app.signature("bare.noop", args=[{"run_id": str(uuid4())}], immutable=True).set(queue="bare")
        chord([header], app.signature("bare.body").set(queue="bare-body", ignore_result=True), app=app).apply_async()
    wait_for(lambda: int(client.get(key) or 0) >= count, 300, "the end of the bare chords")
    return count / (time.perf_counter() - began)


def measure(directory: Path, beads: int, agents: int) -> dict[str, float]:
    make_repository(directory / "repository")
    file = directory / "dispatch.toml"
    file.write_text(CONFIGURATION.format(home=directory / "home", repository=directory / "repository", agents=agents))
    environment = {**os.environ, "DISPATCH_CONFIG": str(file), "BENCH_LOG": str(directory / "log")}
    os.environ["DISPATCH_CONFIG"] = str(file)
    settings = load_settings()
    system = open_system(settings)
    system.store.projects.add(PROJECT, directory / "repository", "bench")
    broker = embedded.ensure(settings.home).broker_url
    environment["BARE_BROKER"] = broker
    worker = ["-A", "workers", "worker", "-l", "warning"]
    with celery(
        environment,
        [*worker, "-n", "agents@%h", "-Q", "role.bench", "-c", str(agents)],
        [*worker, "-n", "settler@%h", "-Q", "results", "-c", "2"],
        [*worker, "-n", "ticker@%h", "-Q", "control", "-c", "1"],
        ["-A", "workers", "beat", "-l", "warning"],
    ):
        wait_for(lambda: len(system.store.swarm.workers()) == 3, 60, "the workers' start")
        walk(system, 20)
        walked = walk(system, beads)
        waited = latencies(system, 20)
    app = make_app(settings, broker, broker)
    bare_worker = ["-A", "benchmarks.parts.bare", "worker", "-l", "warning"]
    with celery(
        environment,
        [*bare_worker, "-n", "bare@%h", "-Q", "bare", "-c", str(agents)],
        [*bare_worker, "-n", "body@%h", "-Q", "bare-body", "-c", "2"],
    ):
        wait_for(lambda: len(app.control.ping(timeout=1.0) or []) == 2, 60, "the bare workers' start")
        bare(app, settings.key_prefix, 20)
        bared = bare(app, settings.key_prefix, beads)
    system.close()
    return {
        "walk, beads/s": walked,
        "bare chords/s": bared,
        "walk / bare": walked / bared,
        "ready to started p50, ms": statistics.median(waited) * 1000,
        "ready to started p99, ms": max(waited) * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beads", type=int, default=200)
    parser.add_argument("--agents", type=int, default=4)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as name:
        directory = Path(name)
        try:
            found = measure(directory, chosen.beads, chosen.agents)
        except BaseException:
            log = directory / "log"
            print(log.read_text()[-4000:] if log.exists() else "", file=sys.stderr)
            raise
        finally:
            embedded.purge(directory / "home")
    for name, value in found.items():
        print(f"{name:<28} {value:10.2f}")
    print(json.dumps({"benchmark": "walk", "beads": chosen.beads, "agents": chosen.agents, **found}))


if __name__ == "__main__":
    main()
