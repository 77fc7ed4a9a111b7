"""Files to import."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def beads_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a beads file of the given lines: documents, or texts as they are."""

    def write(*lines: dict[str, Any] | str, name: str = "issues.jsonl") -> Path:
        path = tmp_path / name
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return path

    return write
