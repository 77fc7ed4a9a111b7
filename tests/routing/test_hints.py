"""What a bead says about who should do it, and how long that may take."""

from datetime import timedelta
from typing import Any

import pytest

from dispatch.routing import bead_timeout, role_hint


@pytest.mark.parametrize(
    ("labels", "metadata", "expected"),
    [
        ((), {}, ""),
        (("web", "urgent"), {"size": 3}, ""),
        (("role:backend-engineer",), {}, "backend-engineer"),
        (("web", "Role:Backend Engineer"), {}, "backend-engineer"),
        (("role:qa", "role:dev"), {}, "qa"),
        (("role:", "role:dev"), {}, "dev"),
        (("role:",), {}, ""),
        (("for-role:qa",), {}, ""),
        ((), {"requires_persona": "QA_Engineer"}, "qa-engineer"),
        ((), {"requires_persona": "default/qa-engineer"}, "qa-engineer"),
        ((), {"requires_persona": "  default/qa-engineer "}, "qa-engineer"),
        (("role:dev",), {"requires_persona": "qa"}, "qa"),
        (("role:dev",), {"requires_persona": "  "}, "dev"),
        (("role:dev",), {"requires_persona": ["qa"]}, "dev"),
        (("role:dev",), {"requires_persona": None}, "dev"),
    ],
)
def test_a_role_is_named_by_metadata_or_label(labels: tuple[str, ...], metadata: dict[str, Any], expected: str) -> None:
    assert role_hint(labels, metadata) == expected


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
