"""What goes out: what came in, with our changes and nothing else."""

import json
import uuid

import pytest

from dispatch.errors import NotFoundError
from dispatch.exchange import NewBead, export_project, export_to, import_file, unimported
from dispatch.models.agent import Incarnation
from dispatch.models.identity import BeadKey, IncarnationId, ProjectId
from dispatch.settings import Settings
from dispatch.wiring import wire

ONE = {"_type": "issue", "id": "shop-1", "title": "One", "status": "open", "priority": 1, "custom": [1.0, "é"]}
TWO = {"id": "shop-2", "title": "Two", "priority": 2, "updated_at": "2026-01-01T00:00:00.123456789Z"}


def exported(store, project) -> dict[str, dict]:
    documents = map(json.loads, export_project(store, project.id))
    return {document.get("id") or document["key"]: document for document in documents}


class SilentBus:
    """A bus that takes every order and delivers none: what is handed over stays pending."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def hand_over(store, settings: Settings) -> None:
    """Given a worker that is alive, give all that is ready to its agents."""
    worker = Incarnation(
        id=IncarnationId(uuid.uuid4()),
        node="agents@here",
        host="here",
        pid=1,
        version="1",
        queues=("role.backend-engineer",),
        roles=("backend-engineer",),
        agents=5,
    )
    store.swarm.register(worker)
    assert wire(settings, store, SilentBus()).dispatcher.dispatch()


def test_memories_follow_the_beads(store, project, beads_file):
    memory = {"_type": "memory", "key": "db", "value": "It is PostgreSQL."}
    import_file(store, project.id, beads_file(memory, ONE, TWO))
    assert [json.loads(line) for line in export_project(store, project.id)] == [ONE, TWO, memory]


def test_closing_writes_four_fields(store, project, beads_file):
    import_file(store, project.id, beads_file(ONE, TWO))
    store.edits.close(BeadKey(project.id, "shop-1"), "done")
    documents = exported(store, project)
    changed = {name for name in documents["shop-1"] if documents["shop-1"][name] != ONE.get(name)}
    assert changed == {"status", "closed_at", "close_reason", "updated_at"}
    assert (documents["shop-1"]["status"], documents["shop-1"]["close_reason"]) == ("closed", "done")
    assert documents["shop-2"] == TWO


def test_a_bead_that_a_run_holds_is_in_progress_for_its_tracker(store, project, beads_file, settings):
    import_file(store, project.id, beads_file(ONE))
    hand_over(store, settings)
    assert exported(store, project) == {"shop-1": {**ONE, "status": "in_progress"}}


def test_a_held_bead_that_is_closed_by_hand_is_closed_for_its_tracker(store, project, beads_file, settings):
    import_file(store, project.id, beads_file(ONE))
    hand_over(store, settings)
    store.edits.close(BeadKey(project.id, "shop-1"), "enough")
    assert exported(store, project)["shop-1"]["status"] == "closed"


def test_an_export_is_written_as_a_file(store, project, beads_file, tmp_path):
    path = beads_file(ONE, TWO)
    import_file(store, project.id, path)
    target = tmp_path / "out.jsonl"
    assert export_to(store, project.id, target) == 2
    assert target.read_bytes() == path.read_bytes()


def test_an_unknown_project_is_refused(store):
    with pytest.raises(NotFoundError, match="project 'nope'"):
        export_project(store, ProjectId("nope"))


class TestWhatAnExportOverAFileWouldLose:
    def test_nothing_after_an_import_whatever_we_changed_since(self, store, project, beads_file):
        path = beads_file(ONE, TWO)
        import_file(store, project.id, path)
        store.edits.close(BeadKey(project.id, "shop-1"), "done")
        assert unimported(store, project.id, path) == []

    def test_nothing_when_it_holds_our_own_export(self, store, project, beads_file):
        path = beads_file(ONE, TWO)
        import_file(store, project.id, path)
        store.edits.close(BeadKey(project.id, "shop-1"), "done")
        export_to(store, project.id, path)
        assert unimported(store, project.id, path) == []

    def test_new_and_changed_beads_memories_and_lines_that_cannot_be_read(self, store, project, beads_file):
        import_file(store, project.id, beads_file(ONE, TWO))
        memory = {"_type": "memory", "key": "db", "value": "It is PostgreSQL."}
        newer = {**TWO, "title": "Due", "updated_at": "2026-02-01T00:00:00Z"}
        path = beads_file(ONE, newer, {**ONE, "id": "shop-3"}, memory, "no json")
        assert unimported(store, project.id, path) == ["shop-2", "shop-3", "db", "line 5"]

    def test_not_what_is_older_than_ours(self, store, project, beads_file):
        import_file(store, project.id, beads_file(TWO))
        path = beads_file({**TWO, "title": "Before", "updated_at": "2025-01-01T00:00:00Z"})
        assert unimported(store, project.id, path) == []


def test_new_bead_defaults_are_those_of_the_tracker():
    assert (NewBead(title="x").priority, NewBead(title="x").issue_type) == (2, "task")
