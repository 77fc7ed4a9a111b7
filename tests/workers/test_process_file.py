"""The file that says where an agent runs: read by the next attempt when the database was not told."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dispatch.models.identity import BeadId, ProjectId, RunId, StepId, uuid7
from dispatch.models.run import Run
from workers.process_file import PROCESS_FILE, with_process, write_process
from workers.runners import ProcessIdentity

HERE = ProcessIdentity("here", "a boot", 7, 1.25)
RUN = Run(
    id=RunId(uuid7()),
    step_id=StepId(uuid7()),
    index=0,
    project_id=ProjectId("shop"),
    bead_id=BeadId("shop-1"),
    role="developer",
    attempt=1,
    timeout=timedelta(minutes=1),
)


def test_a_run_gets_what_its_file_says(tmp_path: Path) -> None:
    write_process(tmp_path, replace(HERE, process_group=6), None)
    write_process(tmp_path, HERE, "a" * 40)
    run = with_process(RUN, tmp_path)
    assert (run.host, run.boot_id, run.process_group, run.process_started) == ("here", "a boot", 7, 1.25)
    assert run.base_sha == "a" * 40
    assert with_process(replace(RUN, base_sha="b" * 40), tmp_path).base_sha == "b" * 40
    assert [path.name for path in tmp_path.iterdir()] == [PROCESS_FILE]


def test_what_the_database_says_counts_more(tmp_path: Path) -> None:
    """A reported run has no process any more, and its row says so."""
    write_process(tmp_path, HERE, "a" * 40)
    reported = replace(RUN, host="here", boot_id="a boot", process_group=7)
    assert with_process(reported, tmp_path) == reported


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"base_sha": null, "host": 1, "more": 2}', "\x00\x00"])
def test_a_run_without_a_file_or_with_a_broken_one_stays_as_it_is(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / PROCESS_FILE).write_text(content)
    assert with_process(RUN, tmp_path) == RUN
