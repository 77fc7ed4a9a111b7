"""From the document of a line to a bead, with what is wrong with it."""

import re
from collections.abc import Mapping
from typing import Any

from dispatch.interop.fields import FieldReader, bad_input, is_storable, shown, storable
from dispatch.interop.lines import type_name
from dispatch.models.bead import MAX_TITLE, Bead
from dispatch.models.identity import BeadId
from dispatch.models.states import BeadStatus

MAX_ID = 255
"""Characters."""
MISSING_PRIORITY = 0
"""The priority of a bead whose line has none: trackers leave out zeros."""
LOWEST_PRIORITY = 4

_STATUS = re.compile(r"[a-z][a-z0-9_-]*")


def bead_from_document(document: Mapping[str, Any]) -> Bead:
    """Return the bead that a document describes; warnings are dropped, as an import has told them already.

    Raises BadInputError when an import would refuse the document.
    """
    reader = FieldReader(document, line=None)
    bead = take_bead(reader)
    if refusal := reader.refusal:
        raise bad_input(refusal, f"bead {refusal.bead_id}" if refusal.bead_id else "a bead")
    return bead


def take_bead(reader: FieldReader) -> Bead:
    """Return the bead of the reader's document. It is to be thrown away if the reader then holds a refusal."""
    bead_id = _take_id(reader)
    bead = Bead(
        id=bead_id,
        title=_take_title(reader),
        description=reader.text("description"),
        status=_take_status(reader),
        priority=_take_priority(reader),
        issue_type=reader.text("issue_type") or "task",
        assignee=reader.text("assignee"),
        labels=_take_labels(reader),
        metadata=_take_metadata(reader),
        created_at=reader.time("created_at"),
        updated_at=reader.time("updated_at"),
        closed_at=reader.time("closed_at"),
        close_reason=reader.text("close_reason", matters=False),
        defer_until=reader.time("defer_until", matters=True),
        pinned=reader.flag("pinned"),
        ephemeral=reader.flag("ephemeral") or reader.flag("wisp"),
    )
    _check_closing(reader, bead)
    return bead


def _check_closing(reader: FieldReader, bead: Bead) -> None:
    closed = bead.status == BeadStatus.CLOSED
    if closed == bool(reader.document.get("closed_at")) or bead.status == BeadStatus.TOMBSTONE:
        return
    found = "no closed_at" if closed else "a closed_at"
    reader.warn(f"has the status {shown(bead.status)} and {found}", "make the two agree")


def _take_id(reader: FieldReader) -> BeadId:
    """Take the id first: every later problem is told under its name."""
    value = reader.document.get("id")
    if value is None or value == "":
        reader.refuse("has no id", "write one, such as bd-a1")
    elif not isinstance(value, str):
        reader.refuse(f"id is {type_name(value)}", "write a string, such as bd-a1")
    elif len(value) > MAX_ID:
        reader.refuse(f"id {shown(value)} has {len(value)} characters", f"use at most {MAX_ID}")
    elif not is_storable(value):
        reader.refuse(f"id {shown(value)} holds a NUL or half a surrogate pair", "remove it")
    elif not value.isprintable() or value != value.strip():
        reader.refuse(f"id {shown(value)} holds a control character or outer blanks", "remove them")
    else:
        reader.bead_id = value
        return BeadId(value)
    return BeadId("")


def _take_title(reader: FieldReader) -> str:
    title = reader.text("title")
    given = reader.document.get("title", "")
    if given is None or (isinstance(given, str) and not given.strip()):
        reader.refuse("has no title", f"write one of 1 to {MAX_TITLE} characters")
    if len(title) > MAX_TITLE:
        reader.warn(f"title has {len(title)} characters", f"use at most {MAX_TITLE}")
    return title


def _take_status(reader: FieldReader) -> str:
    status = reader.text("status") or BeadStatus.OPEN
    if status == BeadStatus.LANDING:
        reader.warn("status landing has a meaning of its own in dispatch, read as in_progress", "use another word")
        return BeadStatus.IN_PROGRESS
    if not _STATUS.fullmatch(status):
        reader.warn(f"status {shown(status)} is none that a tracker writes", "use small letters, digits, _ and -")
    return status


def _take_priority(reader: FieldReader) -> int:
    value = reader.document.get("priority")
    if value is None:
        return MISSING_PRIORITY
    cure = f"write an integer from 0 (highest) to {LOWEST_PRIORITY}"
    if not isinstance(value, int) or isinstance(value, bool):
        described = f"{value!r}" if isinstance(value, float) else type_name(value)
        reader.refuse(f"priority is {described}", cure)
    elif not 0 <= value <= LOWEST_PRIORITY:
        reader.refuse(f"priority is {shown(value)}", cure)
    else:
        return value
    return MISSING_PRIORITY


def _take_labels(reader: FieldReader) -> tuple[str, ...]:
    labels = reader.document.get("labels")
    if labels is None:
        return ()
    if not isinstance(labels, list):
        reader.refuse(f"labels is {type_name(labels)}", "write a list of strings")
        return ()
    for position, label in enumerate(labels, start=1):
        if not isinstance(label, str):
            reader.refuse(f"label {position} is {type_name(label)}", "write a string")
            return ()
    return tuple(dict.fromkeys(reader.cleaned(label, "a label") for label in labels))


def _take_metadata(reader: FieldReader) -> dict[str, Any]:
    """Take the metadata if it is an object; a tracker allows any JSON, in which dispatch finds nothing for itself."""
    metadata = reader.document.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        reader.warn(f"metadata is {type_name(metadata)}, kept but not read", "write an object")
        return {}
    cleaned: dict[str, Any] = storable(metadata)
    if cleaned != metadata:
        reader.warn("metadata holds what PostgreSQL cannot store (NUL, half a surrogate pair, infinity)", "remove it")
    return cleaned
