"""Every benchmark in its smallest form, on real servers and workers: that it measures, not what."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main, parse

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(_SECONDS + 20)]

ROWS = {
    "tick": [
        f"{kind}, of {size} open"
        for kind in (
            "50 dispatched",
            "50 dispatched, without publishing",
            "nothing ready for idle agents",
            "no idle agent",
        )
        for size in (100, 200, 400)
    ],
    "beads_file": [
        "parse the lines",
        "COPY the same rows",
        "both: the least of an import",
        "read and check the file",
        "import",
        "import again, unchanged",
        "export",
        "list what is ready",
    ],
    "bug_routing": [
        "right, tuning",
        "right, held_out",
        "right, second",
        "right, third",
        "right, all",
        "right, of those sent to a role",
        "time of one report",
    ],
    "loops": [
        "record and judge, at 50 actions",
        "record and judge, at 500 actions",
        "memory of a bead, 50 actions",
        "memory of a bead, 250 actions",
        "memory of a bead, 500 actions",
    ],
    "retrieval": [
        f"{way}, {figure}"
        for figure in ("recall@5", "MRR")
        for way in ("recency", "256-dimension hashing of words", "full text", "ours")
    ],
    "memory": [
        "bare worker, main",
        "bare worker, each pool process",
        "agents, main",
        "agents, each pool process",
        "beside each pool process: guard, fork server",
        "settler, main",
        "settler, each pool process",
        "ticker, main",
        "ticker, each pool process",
        "lander, main",
        "lander, each pool process",
        "beat",
        "PostgreSQL, all",
        "Valkey",
        "keeper of the servers",
        "each program's holder",
        "bare workers, all",
        "dispatch without servers, all",
    ],
    "costs": [
        *(
            f"{whose}: {what}"
            for whose in (
                "bead",
                "bead, agents",
                "bead, ticker",
                "bead, settler",
                "bead alone, dispatch",
                "bead alone, start",
                "bead alone, run",
                "bead alone, report",
                "bead alone, settle",
                "bead alone, tick after it",
            )
            for what in ("statements", "transactions")
        ),
        "both sides idle: commands to Valkey",
        "bare chord: commands to Valkey",
        "bead: commands to Valkey",
    ],
    "walk": [
        "bare chords",
        "CPU of a bare chord",
        "bead: walk",
        "bead: CPU",
        "bead in a worktree: walk",
        "bead in a worktree: CPU",
        "idle dispatch beside bare",
        "idle bare beside dispatch",
        "file made",
        "bare: published to started, p50",
        "bead: ready to started, p50",
        "bare: published to started, p99",
        "bead: ready to started, p99",
        "bare: published to body, p50",
        "bead: ready to closed, p50",
        "bare: published to body, p99",
        "bead: ready to closed, p99",
    ],
}
RUN_ALONE = ("bead alone, run: statements", "bead alone, run: transactions")
MAY_BE_NOTHING = {"idle dispatch beside bare", "idle bare beside dispatch", *RUN_ALONE}
MAY_BE_LEFT_OUT = "retrieval"
"""Its data are not in every checkout."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Given a short run of all benchmarks: its table, and its JSON."""
    out = tmp_path_factory.mktemp("bench") / "made" / "results.json"
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--short", "--agents", "1", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout, json.loads(out.read_text())


@pytest.mark.parametrize("benchmark", ROWS)
def test_a_benchmark_measures_what_it_is_to(finished: tuple[str, dict[str, Any]], benchmark: str) -> None:
    rows = finished[1]["benchmarks"][benchmark]["rows"]
    assert [row["name"] for row in rows] == ROWS[benchmark]
    names = {row["name"] for row in rows}
    for row in rows:
        left_out = row["name"] in MAY_BE_NOTHING or (benchmark == MAY_BE_LEFT_OUT and "left out" in row["note"])
        assert row["value"] > 0 or (row["value"] == 0 and left_out), row
        assert (row["ratio"] is None) == (row["ratio_base"] is None), row
        assert row["ratio_base"] is None or row["ratio_base"] in names, "a ratio is to a figure of the same run"
        assert (row["target"] is None) == (row["reached"] is None), row


def test_the_whole_run_is_what_was_asked_for(finished: tuple[str, dict[str, Any]]) -> None:
    table, results = finished
    assert list(results["benchmarks"]) == list(ROWS)
    assert results["short"] is True
    assert results["machine"]["cpus"] >= 1
    assert all(benchmark in table for benchmark in ROWS)


def test_the_cost_of_a_tick_has_a_target(finished: tuple[str, dict[str, Any]]) -> None:
    aimed_at = [row for row in finished[1]["benchmarks"]["tick"]["rows"] if row["target"]]
    assert [row["target"] for row in aimed_at] == ["ratio at most 1.5"] * 4
    assert all("400 open" in row["name"] and "100 open" in row["ratio_base"] for row in aimed_at)


def test_an_unknown_benchmark_is_named_beside_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["benchmarks/no_such.py"])
    assert refused.value.code == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"benchmarks/no_such.py is no benchmark; there are {', '.join(ROWS)}" in told


def test_files_name_benchmarks_too_and_their_order_is_fixed() -> None:
    assert parse(["benchmarks/walk.py", "tick"]).names == ["tick", "walk"]
    assert parse([]).names == list(ROWS)
