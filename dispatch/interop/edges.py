"""The edges of a bead, as its line lists them."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dispatch.interop.fields import FieldReader, is_storable, shown, storable
from dispatch.interop.lines import type_name
from dispatch.interop.times import format_time
from dispatch.models.bead import Dependency
from dispatch.models.identity import BeadId

MAX_TYPE = 50
"""Characters of an edge's type."""
DEFAULT_EDGE_TYPE = "blocks"


def take_dependencies(reader: FieldReader, owner: BeadId) -> tuple[Dependency, ...]:
    """Return the edges of a bead, each pair and type once. An edge that cannot be read refuses the line.

    Every edge belongs to the bead whose line it is on, whatever its `issue_id` says.
    """
    listed = reader.document.get("dependencies")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        reader.refuse(f"dependencies is {type_name(listed)}", "write a list of objects")
        return ()
    found: dict[tuple[str, str], Dependency] = {}
    for position, edge in enumerate(listed, start=1):
        dependency = _take_edge(reader, owner, edge, f"dependency {position}")
        if dependency is None:
            continue
        key = dependency.depends_on_id, dependency.type
        if key in found:
            reader.warn(f"dependency {position} is there twice ({' as '.join(key)})", "remove one of the two")
        found.setdefault(key, dependency)
    return tuple(found.values())


def _take_edge(reader: FieldReader, owner: BeadId, edge: object, name: str) -> Dependency | None:
    if not isinstance(edge, dict):
        reader.refuse(f"{name} is {type_name(edge)}", "write an object with depends_on_id and type")
        return None
    target = edge.get("depends_on_id")
    if not isinstance(target, str) or not target.strip() or not is_storable(target):
        reader.refuse(f"{name} has no readable depends_on_id", "write the id of the bead it leads to")
        return None
    kind = edge.get("type") or DEFAULT_EDGE_TYPE
    if not isinstance(kind, str):
        reader.refuse(f"the type of {name} is {type_name(kind)}", "write a string, for example blocks")
        return None
    if len(kind) > MAX_TYPE:
        reader.warn(f"the type of {name} has {len(kind)} characters", f"use at most {MAX_TYPE}")
    claimed = edge.get("issue_id") or owner
    if claimed != owner:
        reader.warn(f"{name} says that it belongs to {shown(claimed)}", f"write {owner} as its issue_id")
    return Dependency(
        issue_id=owner,
        depends_on_id=BeadId(target),
        type=reader.cleaned(kind, f"the type of {name}"),
        metadata=_edge_metadata(reader, edge, name),
    )


def _edge_metadata(reader: FieldReader, edge: Mapping[str, Any], name: str) -> str:
    """Return the JSON text of an edge's metadata, which some writers put down as the object itself."""
    metadata = edge.get("metadata")
    match metadata:
        case None:
            return ""
        case str():
            return reader.cleaned(metadata, f"the metadata of {name}")
        case dict():
            return json.dumps(storable(metadata))
        case _:
            reader.warn(f"the metadata of {name} is {type_name(metadata)}", "write an object, as JSON in a string")
            return ""


def dependency_document(dependency: Dependency, created_by: str, now: datetime) -> dict[str, Any]:
    """Return a new edge as a line lists it, to hand to `export_line`."""
    document: dict[str, Any] = {
        "issue_id": dependency.issue_id,
        "depends_on_id": dependency.depends_on_id,
        "type": dependency.type,
        "created_at": format_time(now),
        "created_by": created_by,
        "metadata": dependency.metadata,
    }
    return {name: value for name, value in document.items() if value}
