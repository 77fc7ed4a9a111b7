"""Files of real trackers go through the real store and come back equal."""

from datetime import UTC, datetime, timedelta

import pytest

from dispatch.exchange import export_project, export_to, import_file, unimported
from dispatch.models.identity import ProjectId
from dispatch.store import FixedClock, Store, make_engine

SAMPLES = [("beads.jsonl", 2704, 68), ("loom.jsonl", 1055, 30), ("nanolang.jsonl", 677, 0)]


@pytest.mark.parametrize(("name", "count", "ready"), SAMPLES)
def test_a_sample_comes_back_equal_and_a_second_import_changes_nothing(
    store, project, sample, tmp_path, name, count, ready
):
    path = sample(name)
    first = import_file(store, project.id, path)
    assert (first.report.created, first.problems) == (count, ())
    target = tmp_path / name
    assert export_to(store, project.id, target) == count
    assert target.read_bytes() == path.read_bytes()

    second = import_file(store, project.id, target)
    assert (second.report.created, second.report.updated, second.report.unchanged) == (0, 0, count)
    assert unimported(store, project.id, path) == []
    assert "".join(f"{line}\n" for line in export_project(store, project.id)).encode() == path.read_bytes()


@pytest.mark.parametrize(("name", "count", "ready"), SAMPLES)
def test_what_is_ready_in_a_sample_is_what_its_tracker_calls_ready(
    database_url, repository, sample, name, count, ready
):
    clock = FixedClock(datetime(2026, 9, 25, tzinfo=UTC))
    store = Store(make_engine(database_url), lease=timedelta(seconds=45), clock=clock)
    try:
        project = store.projects.add(ProjectId("shop"), repository)
        import_file(store, project.id, sample(name))
        found = store.reading.ready(project.id, as_tracker=True)
    finally:
        store.close()
    assert len(found) == ready
    order = [(bead.priority, bead.created_at, bead.id) for bead in found]
    assert order == sorted(order)
