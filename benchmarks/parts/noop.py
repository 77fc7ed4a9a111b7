"""What both sides of the walk benchmark execute: nothing."""

from typing import Any


def finish(assignment: Any) -> dict[str, Any]:
    """The no-op agent of a `python` runner."""
    return {"kind": "completed", "nothing_to_do": True, "summary": "nothing"}
