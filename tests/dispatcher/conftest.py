"""Configurations of one scene that differ in a few keys."""

from collections.abc import Callable
from typing import Any

import pytest

from dispatch.settings import Settings


@pytest.fixture
def configured(settings: Settings) -> Callable[..., Settings]:
    """Given a function that returns the test's settings with other values in some sections."""

    def change(**sections: dict[str, Any]) -> Settings:
        values = settings.model_dump()
        for name, section in sections.items():
            values[name] = {**values[name], **section}
        return Settings.model_validate(values)

    return change
