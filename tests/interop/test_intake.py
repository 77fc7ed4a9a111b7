"""From fields to a bead: defaults, wrong types, text that a database cannot hold."""

from datetime import UTC, datetime

import pytest

from dispatch.errors import BadInputError
from dispatch.interop import bead_from_document


def test_what_is_missing_has_the_values_of_the_format(read_one):
    entry, problems = read_one()
    assert problems == []
    bead = entry.bead
    assert (bead.status, bead.priority, bead.issue_type, bead.labels, bead.metadata) == ("open", 0, "task", (), {})
    assert (bead.created_at, bead.defer_until, bead.pinned, bead.ephemeral) == (None, None, False, False)


def test_null_counts_as_missing(read_one):
    names = ["status", "priority", "issue_type", "labels", "metadata", "dependencies", "description", "assignee"]
    entry, problems = read_one(**dict.fromkeys([*names, "created_at", "closed_at", "pinned", "wisp"]))
    assert (problems, entry.bead.status, entry.dependencies) == ([], "open", ())


def test_every_field_that_dispatch_reads_is_taken(read_one):
    entry, problems = read_one(
        description="How",
        status="closed",
        priority=3,
        issue_type="bug",
        assignee="ann",
        labels=["ui", "fast", "ui"],
        metadata={"timeout": "45m", "deep": [1.5, None, True]},
        created_at="2026-01-02T03:04:05Z",
        closed_at="2026-01-03T00:00:00+02:00",
        close_reason="done",
        defer_until="2026-02-01T00:00:00",
        pinned=True,
    )
    bead = entry.bead
    assert problems == []
    assert (bead.description, bead.status, bead.priority, bead.issue_type) == ("How", "closed", 3, "bug")
    assert (bead.assignee, bead.labels, bead.close_reason, bead.pinned) == ("ann", ("ui", "fast"), "done", True)
    assert bead.metadata == {"timeout": "45m", "deep": [1.5, None, True]}
    assert bead.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert bead.closed_at == datetime(2026, 1, 2, 22, tzinfo=UTC)
    assert bead.defer_until == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["ephemeral", "wisp"])
def test_a_wisp_is_an_ephemeral_bead(read_one, name):
    assert read_one(**{name: True})[0].bead.ephemeral


@pytest.mark.parametrize("status", ["tombstone", "hooked", "pinned", "my-own_2"])
def test_statuses_of_trackers_are_kept(read_one, status):
    entry, problems = read_one(status=status)
    assert (entry.bead.status, problems) == (status, [])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("title", 7, "title is a number; write a string"),
        ("title", True, "title is a boolean; write a string"),
        ("title", None, "has no title; write one of 1 to 500 characters"),
        ("title", "", "has no title; write one of 1 to 500 characters"),
        ("title", " \n", "has no title; write one of 1 to 500 characters"),
        ("description", ["x"], "description is a list; write a string"),
        ("status", 1, "status is a number; write a string"),
        ("assignee", {"name": "ann"}, "assignee is an object; write a string"),
        ("issue_type", 0, "issue_type is a number; write a string"),
        ("priority", "1", "priority is a string; write an integer from 0 (highest) to 4"),
        ("priority", True, "priority is a boolean; write an integer from 0 (highest) to 4"),
        ("priority", 1.0, "priority is 1.0; write an integer from 0 (highest) to 4"),
        ("priority", 5, "priority is 5; write an integer from 0 (highest) to 4"),
        ("priority", -1, "priority is -1; write an integer from 0 (highest) to 4"),
        ("labels", "ui", "labels is a string; write a list of strings"),
        ("labels", ["ui", 3], "label 2 is a number; write a string"),
        ("pinned", "yes", "pinned is a string; write true or false"),
        ("wisp", 1, "wisp is a number; write true or false"),
        ("defer_until", 5, "defer_until is a number; write a timestamp such as 2026-01-31T12:00:00Z"),
        ("defer_until", "soon", "defer_until 'soon' is no timestamp; write one such as 2026-01-31T12:00:00Z"),
    ],
)
def test_a_field_that_decides_about_the_work_refuses_the_line_when_it_is_wrong(read_one, field, value, said):
    entry, (problem,) = read_one(**{field: value})
    assert entry is None
    assert (str(problem), problem.fatal) == (f"line 1 (bd-a1): {said}", True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("title", "x" * 501, "title has 501 characters; use at most 500"),
        ("metadata", [1], "metadata is a list, kept but not read; write an object"),
        ("close_reason", 3, "close_reason is a number; write a string"),
        ("created_at", 3, "created_at is a number; write a timestamp such as 2026-01-31T12:00:00Z"),
        ("updated_at", "2026-02-30", "updated_at '2026-02-30' is no timestamp; write one such as 2026-01-31T12:00:00Z"),
        ("status", "In Work", "status 'In Work' is none that a tracker writes; use small letters, digits, _ and -"),
        ("status", "closed", "has the status 'closed' and no closed_at; make the two agree"),
        ("closed_at", "2026-01-01T00:00:00Z", "has the status 'open' and a closed_at; make the two agree"),
        ("title", "a\0b", "title holds NUL (\\u0000), shown here as \ufffd; remove it"),
        ("title", "a\ud800b", "title holds half a surrogate pair, shown here as \ufffd; remove it"),
        ("labels", ["a\0b"], "a label holds NUL (\\u0000), shown here as \ufffd; remove it"),
        (
            "metadata",
            {"a\0": ["\udfff"]},
            "metadata holds what PostgreSQL cannot store (NUL, half a surrogate pair, infinity); remove it",
        ),
        (
            "status",
            "landing",
            "status landing has a meaning of its own in dispatch, read as in_progress; use another word",
        ),
    ],
)
def test_any_other_wrong_field_is_a_warning_and_the_line_is_kept_as_it_is(read_one, field, value, said):
    entry, (problem,) = read_one(**{field: value})
    assert (str(problem), problem.fatal) == (f"line 1 (bd-a1): {said}", False)
    assert entry.document[field] == value


def test_a_bead_holds_nothing_that_postgresql_refuses(read_one):
    entry, _ = read_one(title="a\0b", labels=["\ud800"], metadata={"k\0": "\udc00", "n": [1]})
    assert (entry.bead.title, entry.bead.labels) == ("a\ufffdb", ("\ufffd",))
    assert entry.bead.metadata == {"k\ufffd": "\ufffd", "n": [1]}
    assert "\0" not in entry.text
    assert entry.text.encode()


def test_a_number_beyond_all_floats_is_kept_in_the_text_alone(read_one):
    entry, (problem,) = read_one(b'{"id": "bd-a1", "title": "Fix it", "metadata": {"n": 1e999}}')
    assert (entry.bead.metadata, problem.fatal) == ({"n": None}, False)
    assert "1e999" in entry.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"title": "x"}', "has no id; write one, such as bd-a1"),
        (b'{"id": "", "title": "x"}', "has no id; write one, such as bd-a1"),
        (b'{"id": 7, "title": "x"}', "id is a number; write a string, such as bd-a1"),
        (b'{"id": "a\\u0000", "title": "x"}', "id 'a\\x00' holds a NUL or half a surrogate pair; remove it"),
        (b'{"id": "a\\ud800", "title": "x"}', "id 'a\\ud800' holds a NUL or half a surrogate pair; remove it"),
        (b'{"id": "a\\n", "title": "x"}', "id 'a\\n' holds a control character or outer blanks; remove them"),
        (b'{"id": " a", "title": "x"}', "id ' a' holds a control character or outer blanks; remove them"),
        (b'{"id": "' + b"a" * 256 + b'", "title": "x"}', f"id '{'a' * 40}' has 256 characters; use at most 255"),
    ],
)
def test_without_a_usable_id_the_line_is_refused(read_one, line, said):
    entry, (problem,) = read_one(line)
    assert entry is None
    assert (str(problem), problem.fatal) == (f"line 1: {said}", True)


def test_a_stored_document_gives_its_bead_again_with_its_warnings_forgotten():
    bead = bead_from_document({"id": "bd-a1", "title": "x" * 501, "priority": 2})
    assert (bead.id, len(bead.title), bead.priority) == ("bd-a1", 501, 2)


def test_a_document_that_an_import_would_refuse_is_bad_input():
    with pytest.raises(BadInputError) as raised:
        bead_from_document({"id": "bd-a1", "title": 4})
    assert str(raised.value) == "bead bd-a1: title is a number. Write a string."
