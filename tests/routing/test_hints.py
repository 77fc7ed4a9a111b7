"""What a bead says about how long its runs may take."""

from datetime import timedelta
from typing import Any

import pytest

from dispatch.routing import bead_timeout


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, None),
        ({"timeout": None}, None),
        ({"timeout": "45m"}, timedelta(minutes=45)),
        ({"timeout": 90}, timedelta(seconds=90)),
        ({"timeout": "1h30m"}, timedelta(minutes=90)),
    ],
)
def test_a_timeout_is_read_from_metadata(metadata: dict[str, Any], expected: timedelta | None) -> None:
    assert bead_timeout(metadata) == expected


@pytest.mark.parametrize("value", ["soon", "-5m", "", -1, True, float("nan"), float("inf"), ["45m"], {"minutes": 45}])
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="duration; write for example"):
        bead_timeout({"timeout": value})
