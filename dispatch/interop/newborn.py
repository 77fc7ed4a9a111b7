"""The document of a bead that is made here."""

from datetime import datetime
from typing import Any

from dispatch.interop.fields import FieldReader, bad_input
from dispatch.interop.intake import take_bead
from dispatch.interop.times import format_time
from dispatch.models.bead import Bead

FIELD_ORDER = (
    *("_type", "id", "title", "description", "design", "acceptance_criteria", "notes", "spec_id"),
    *("status", "priority", "issue_type", "assignee", "owner", "estimated_minutes"),
    *("created_at", "created_by", "updated_at", "started_at", "closed_at", "close_reason", "closed_by_session"),
    *("due_at", "defer_until", "external_ref", "source_system", "metadata", "labels", "dependencies", "comments"),
    *("sender", "ephemeral", "no_history", "wisp_type", "pinned", "is_template"),
)
"""The order in which a tracker writes the fields, as far as dispatch writes any."""
_ALWAYS_WRITTEN = frozenset({"_type", "id", "title", "status", "priority", "issue_type", "created_at", "updated_at"})


def new_document(bead: Bead, created_by: str, now: datetime) -> dict[str, Any]:
    """Return the document of a new bead, created `now`, without its edges; empty optional fields are left out.

    Raises BadInputError when a tracker would not take it: no title or one over 500 characters, a priority outside 0
    to 4, text that is not Unicode.
    """
    fields: dict[str, Any] = {
        "_type": "issue",
        "id": bead.id,
        "title": bead.title,
        "description": bead.description,
        "status": str(bead.status),
        "priority": bead.priority,
        "issue_type": bead.issue_type,
        "assignee": bead.assignee,
        "created_at": format_time(now),
        "created_by": created_by,
        "updated_at": format_time(now),
        "closed_at": format_time(bead.closed_at) if bead.closed_at else None,
        "close_reason": bead.close_reason,
        "defer_until": format_time(bead.defer_until) if bead.defer_until else None,
        "metadata": dict(bead.metadata),
        "labels": list(bead.labels),
        "ephemeral": bead.ephemeral,
        "pinned": bead.pinned,
    }
    document = {name: value for name, value in fields.items() if value or name in _ALWAYS_WRITTEN}
    reader = FieldReader(document, line=None)
    take_bead(reader)
    for problem in reader.problems:
        raise bad_input(problem, "the new bead")
    return document
