"""Giving a stored line back, with the few fields that dispatch changed, and nothing else touched."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dispatch.interop.edges import DEFAULT_EDGE_TYPE
from dispatch.interop.newborn import FIELD_ORDER

_decoder = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_RANK = {name: rank for rank, name in enumerate(FIELD_ORDER)}


def document_text(document: Mapping[str, Any]) -> str:
    """Return a document as the text of a line: compact JSON, with lone surrogates escaped."""
    return _encode(dict(document))


def export_line(text: str, changes: Mapping[str, Any], extra_dependencies: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the stored text of a bead with our changes in it.

    A changed field has its new value, or is gone when that is None; edges that the bead does not list yet are added
    to `dependencies`. All other fields keep their text, letter for letter: numbers that Python would round, escapes,
    order. Without a difference the very text is returned. Raises ValueError when `text` is no JSON object.
    """
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("the text of a bead is no JSON object")
    patch = {name: value for name, value in changes.items() if _differs(document, name, value)}
    added = _missing_edges(document | patch, extra_dependencies)
    if not patch and not added:
        return text
    members = _split(text)
    for name, value in patch.items():
        _put(members, name, None if value is None else _encode(value))
    if added:
        _put(members, "dependencies", _extended(members.get("dependencies", "[]"), added))
    return "{" + ",".join(f"{_encode(name)}:{value}" for name, value in members.items()) + "}"


def _differs(document: Mapping[str, Any], name: str, value: Any) -> bool:
    if value is None:
        return name in document
    if name not in document or isinstance(document[name], bool) != isinstance(value, bool):
        return True
    return bool(document[name] != value)


def _missing_edges(document: Mapping[str, Any], extra: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if not extra:
        return []
    edges = document.get("dependencies") or ()
    listed = {(edge["depends_on_id"], edge.get("type") or DEFAULT_EDGE_TYPE) for edge in edges}
    return [edge for edge in extra if (edge["depends_on_id"], edge["type"]) not in listed]


def _split(text: str) -> dict[str, str]:
    """Return the members of an object, each value as it is written. Of a repeated name the last counts, as in JSON."""
    members: dict[str, str] = {}
    position = _after_space(text, 0) + 1
    while text[position := _after_space(text, position)] != "}":
        name, position = _decoder.raw_decode(text, position)
        start = _after_space(text, _after_space(text, position) + 1)
        _, position = _decoder.raw_decode(text, start)
        members[name] = text[start:position]
        position = _after_space(text, position)
        position += text[position] == ","
    return members


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _put(members: dict[str, str], name: str, value: str | None) -> None:
    """Set or remove a member in place; a new one goes where a tracker would write it."""
    if value is None:
        del members[name]
        return
    if name in members:
        members[name] = value
        return
    rank = _RANK.get(name, len(_RANK))
    later = [other for other in members if _RANK.get(other, len(_RANK)) > rank]
    members[name] = value
    for other in later:
        members[other] = members.pop(other)


def _extended(edges: str, added: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a list of edges with more of them at its end."""
    listed = "" if edges == "null" else edges[1:-1].strip()
    return "[" + ",".join([*([listed] if listed else []), *(_encode(dict(edge)) for edge in added)]) + "]"


def _encode(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
