"""What an import takes, what it leaves out, and what it says about both."""

from datetime import timedelta

import pytest

from dispatch.errors import BadInputError, NotFoundError
from dispatch.exchange import export_project, import_file
from dispatch.models.dispatching import Lane
from dispatch.models.identity import BeadKey, ProjectId

GOOD = {"id": "shop-1", "title": "One", "priority": 1}


def told(result) -> list[str]:
    return [str(problem) for problem in result.problems]


def test_a_line_that_cannot_be_read_is_told_with_its_number_and_cause_and_the_rest_is_imported(
    store, project, beads_file
):
    path = beads_file(GOOD, "no json", {"id": "shop-2", "title": 5}, {"id": "shop-3", "title": "Three"})
    result = import_file(store, project.id, path)
    assert result.report.created == 2
    assert result.refused_lines == 2
    assert told(result)[0].startswith("line 2: ")
    assert told(result)[1] == "line 3 (shop-2): title is a number; write a string"
    assert store.imports.ids(project.id) == ["shop-1", "shop-3"]


def test_a_strict_import_writes_nothing_when_a_line_cannot_be_read(store, project, beads_file):
    path = beads_file(GOOD, {"id": "shop-2", "title": 5})
    with pytest.raises(BadInputError, match=r"1 line\(s\) cannot be imported, the first: line 2 \(shop-2\)"):
        import_file(store, project.id, path, strict=True)
    assert store.imports.ids(project.id) == []


def test_a_strict_import_takes_lines_that_only_have_warnings(store, project, beads_file):
    path = beads_file({**GOOD, "closed_at": "2026-01-01T00:00:00Z"})
    assert import_file(store, project.id, path, strict=True).report.created == 1


def test_a_file_of_which_nothing_can_be_read_is_no_beads_file(store, project, beads_file):
    with pytest.raises(BadInputError, match="Name a beads file"):
        import_file(store, project.id, beads_file("# A title", "", "Some text."))


def test_an_empty_file_changes_nothing(store, project, beads_file):
    assert import_file(store, project.id, beads_file()).report.created == 0


def test_a_file_that_is_not_there_is_named(store, project, tmp_path):
    with pytest.raises(BadInputError, match=r"none\.jsonl"):
        import_file(store, project.id, tmp_path / "none.jsonl")


def test_an_unknown_project_is_told_before_the_file_is_read(store, tmp_path):
    with pytest.raises(NotFoundError, match="project 'nope'"):
        import_file(store, ProjectId("nope"), tmp_path / "none.jsonl")


def test_of_an_id_that_comes_twice_the_later_line_counts(store, project, beads_file):
    result = import_file(store, project.id, beads_file(GOOD, {**GOOD, "title": "Uno"}))
    assert result.report.created == 1
    assert "this later line counts" in told(result)[0]
    assert store.reading.bead(BeadKey(project.id, "shop-1")).title == "Uno"


def test_the_role_and_the_time_limit_that_a_bead_asks_for_are_kept(store, project, beads_file):
    path = beads_file(
        {**GOOD, "labels": ["role:Backend Engineer"], "metadata": {"timeout": "45m"}},
        {"id": "shop-2", "title": "Two", "metadata": {"requires_persona": "default/qa-engineer", "timeout": 90}},
    )
    assert import_file(store, project.id, path).problems == ()
    hints = [store.reading.bead(BeadKey(project.id, name)).role_hint for name in ("shop-1", "shop-2")]
    assert hints == ["backend-engineer", "qa-engineer"]
    lanes = [Lane(project_id=project.id, hint=hint, role=hint, limit=9) for hint in hints]
    with store.dispatching.look() as round_:
        limits = {candidate.bead.id: candidate.timeout for candidate in round_.candidates(lanes)}
    assert limits == {"shop-1": timedelta(minutes=45), "shop-2": timedelta(seconds=90)}


def test_a_time_limit_that_is_no_duration_is_told_with_its_line_and_the_bead_comes_in(store, project, beads_file):
    result = import_file(store, project.id, beads_file(GOOD, {**GOOD, "id": "x-2", "metadata": {"timeout": ["1h"]}}))
    assert result.report.created == 2
    assert result.refused_lines == 0
    (problem,) = result.problems
    assert (problem.line, problem.bead_id, problem.fatal) == (2, "x-2", False)
    assert "metadata.timeout is ignored" in problem.problem


def test_what_is_too_long_for_an_index_is_told_ignored_and_given_back(store, project, beads_file):
    edges = [
        {"issue_id": "shop-1", "depends_on_id": "y" * 5000, "type": "blocks"},
        {"issue_id": "shop-1", "depends_on_id": "shop-9", "type": "z" * 5000},
    ]
    path = beads_file({**GOOD, "labels": [f"role:{'x' * 5000}"], "dependencies": edges})
    result = import_file(store, project.id, path)
    assert result.report.created == 1
    assert any("the role it asks for has 5000 characters" in line for line in told(result))
    assert any("2 dependencies" in line for line in told(result))
    assert store.reading.bead(BeadKey(project.id, "shop-1")).role_hint == ""
    assert store.reading.dependencies(BeadKey(project.id, "shop-1")) == []
    assert [f"{line}\n" for line in export_project(store, project.id)] == [path.read_text()]


def test_memories_are_kept_and_one_with_an_endless_key_is_refused(store, project, beads_file):
    kept = {"_type": "memory", "key": "db", "value": "It is PostgreSQL."}
    result = import_file(store, project.id, beads_file(GOOD, kept, {**kept, "key": "k" * 5000}))
    assert result.report.memories == 1
    assert told(result) == ["line 3: this memory has a key of 5000 characters; use at most 255"]


def test_the_graph_is_looked_at_as_a_whole_with_what_was_there_before(store, project, beads_file):
    def waits(name: str, target: str) -> dict:
        edge = {"issue_id": name, "depends_on_id": target, "type": "blocks"}
        return {"id": name, "title": name, "dependencies": [edge]}

    first = import_file(store, project.id, beads_file(waits("a-1", "a-2")))
    assert told(first) == [
        "a-1: depends on a-2 (blocks), which does not exist; it holds nothing back; correct or remove the edge"
    ]
    second = import_file(store, project.id, beads_file(waits("a-2", "a-1")))
    assert second.report.created == 1
    assert len(second.problems) == 1
    assert "waits for itself: a-1 -> a-2 -> a-1" in told(second)[0]


def test_progress_is_told_after_each_bead(store, project, beads_file):
    told_of: list[int] = []
    import_file(store, project.id, beads_file(GOOD, {**GOOD, "id": "shop-2"}), progress=told_of.append)
    assert told_of == [1, 2]
