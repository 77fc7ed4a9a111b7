"""Files of real trackers come in without loss and go out equal."""

import json
import time

import pytest

from dispatch.interop import BeadEntry, Problem, common_prefix, export_line, graph_problems, read_entries, write_file

SAMPLES = [("beads.jsonl", 2704, "bd"), ("loom.jsonl", 1055, "loom"), ("nanolang.jsonl", 677, "nanolang")]


@pytest.mark.parametrize(("name", "count", "prefix"), SAMPLES)
def test_every_bead_of_a_sample_is_read_and_none_is_complained_about(sample, name, count, prefix):
    entries = list(read_entries(sample(name)))
    beads = [entry for entry in entries if isinstance(entry, BeadEntry)]
    assert len(beads) == count
    assert [str(entry) for entry in entries if isinstance(entry, Problem)] == []
    assert common_prefix(entry.bead.id for entry in beads) == prefix


@pytest.mark.parametrize(("name", "count", "prefix"), SAMPLES)
def test_a_sample_that_is_exported_unchanged_is_equal_byte_for_byte(sample, tmp_path, name, count, prefix):
    path = sample(name)
    target = tmp_path / name
    write_file(target, (export_line(entry.text, {}) for entry in read_entries(path) if isinstance(entry, BeadEntry)))
    assert target.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("name", "count", "prefix"), SAMPLES)
def test_closing_every_bead_of_a_sample_changes_the_four_fields_and_nothing_else(sample, name, count, prefix):
    changes = {"status": "done", "closed_at": "2026-01-01T00:00:00Z", "close_reason": "went", "updated_at": "now"}
    for raw in sample(name).read_bytes().splitlines():
        assert json.loads(export_line(raw.decode(), changes)) == json.loads(raw) | changes


@pytest.mark.parametrize(("name", "count", "prefix"), SAMPLES)
def test_the_graph_of_a_sample_has_no_cycle_and_no_loose_end(sample, name, count, prefix):
    beads = [entry for entry in read_entries(sample(name)) if isinstance(entry, BeadEntry)]
    edges = [edge for entry in beads for edge in entry.dependencies]
    assert graph_problems([(entry.bead.id, entry.bead.is_done) for entry in beads], edges) == []


def test_the_samples_are_read_in_well_under_a_second(sample):
    paths = [sample(name) for name, _, _ in SAMPLES]
    started = time.process_time()
    assert sum(1 for path in paths for _ in read_entries(path)) == 4436
    assert time.process_time() - started < 1.0
