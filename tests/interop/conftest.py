"""Lines to read."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dispatch.interop import BeadEntry, Problem, read_entries


@pytest.fixture
def read_one() -> Callable[..., tuple[BeadEntry | None, list[Problem]]]:
    """Read one line, given as bytes or as the fields to add to a good bead: its entry, and what was said about it."""

    def read(raw: bytes | None = None, /, **fields: Any) -> tuple[BeadEntry | None, list[Problem]]:
        line = raw if raw is not None else json.dumps({"id": "bd-a1", "title": "Fix it"} | fields).encode()
        entries = list(read_entries([line]))
        beads = [entry for entry in entries if isinstance(entry, BeadEntry)]
        return (beads[0] if beads else None), [entry for entry in entries if isinstance(entry, Problem)]

    return read
