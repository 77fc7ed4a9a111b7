"""What an agent did, and what identifies it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dispatch.models.run import ActionRecord

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"path": "a.py", "command": "x"}, "read:a.py"),
        ({"file_path": "a.py"}, "read:a.py"),
        ({"command": "ls"}, "read:ls"),
        ({"b": 1, "a": [2]}, 'read:{"a": [2], "b": 1}'),
        ({"path": "", "command": "ls"}, "read:ls"),
        ({"path": 3}, 'read:{"path": 3}'),
        ({"at": NOON}, 'read:{"at": "2026-09-25 12:00:00+00:00"}'),
        ({}, "read:{}"),
    ],
)
def test_an_action_is_known_by_its_file_its_command_or_its_data(data: dict[str, Any], key: str) -> None:
    assert ActionRecord(timestamp=NOON, action_type="read", action_data=data).progress_key == key


def test_a_key_that_is_given_stays() -> None:
    assert ActionRecord(timestamp=NOON, action_type="read", action_data={}, progress_key="mine").progress_key == "mine"
