"""A directory with a configuration, and the reading of it with nothing from outside."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dispatch.settings import Settings, load_settings


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Settings]:
    """Write a dispatch.toml and read it, with exactly the environment and flags that the test names."""

    def write_and_read(
        text: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
    ) -> Settings:
        (tmp_path / "dispatch.toml").write_text(text, encoding="utf-8")
        return load_settings(environ=environ or {}, cwd=tmp_path, flags=flags or {})

    return write_and_read
