"""Documents of new beads."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dispatch.errors import BadInputError
from dispatch.interop import bead_from_document, document_text, new_document
from dispatch.models.bead import Bead

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FULL = Bead(
    id="bd-a1",
    title="Fix it",
    description="How",
    priority=0,
    issue_type="bug",
    assignee="ann",
    labels=("ui",),
    metadata={"timeout": "45m"},
    defer_until=NOW,
    pinned=True,
    ephemeral=True,
)


def test_a_small_bead_is_written_with_its_priority_and_without_what_is_empty():
    document = new_document(Bead(id="bd-a1", title="Fix it", priority=0), "ann", NOW)
    assert list(document.items()) == [
        ("_type", "issue"),
        ("id", "bd-a1"),
        ("title", "Fix it"),
        ("status", "open"),
        ("priority", 0),
        ("issue_type", "task"),
        ("created_at", "2026-01-02T03:04:05Z"),
        ("created_by", "ann"),
        ("updated_at", "2026-01-02T03:04:05Z"),
    ]


@pytest.mark.parametrize("bead", [FULL, replace(FULL, status="closed", closed_at=NOW, close_reason="done")])
def test_a_full_bead_is_read_back_equal(bead):
    document = json.loads(document_text(new_document(bead, "ann", NOW)))
    assert bead_from_document(document) == replace(bead, created_at=NOW, updated_at=NOW)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": " "}, "the new bead: has no title. Write one of 1 to 500 characters."),
        ({"title": "x" * 501}, "the new bead: title has 501 characters. Use at most 500."),
        ({"priority": 9}, "the new bead: priority is 9. Write an integer from 0 (highest) to 4."),
        ({"description": "\udcff"}, "the new bead: description holds half a surrogate pair, shown here as \ufffd."),
    ],
)
def test_a_bead_that_no_tracker_would_take_is_bad_input(change, said):
    with pytest.raises(BadInputError) as raised:
        new_document(replace(FULL, **change), "ann", NOW)
    assert str(raised.value).startswith(said)
