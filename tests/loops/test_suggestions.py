"""What a human is told to supply."""

import pytest

from dispatch.loops import BeadHistory, suggest_next_steps
from dispatch.models.run import ActionRecord
from tests.loops.actions import act

READ, READ_OTHER = act("read", "a.py"), act("read", "b.py")
EDIT, TEST, COMMAND = act("edit", "a.py"), act("test", "pytest"), act("command", "make")


@pytest.mark.parametrize(
    ("actions", "beginnings"),
    [
        ([], ["It did nothing that was recorded"]),
        ([TEST], ["It never read a file", "It never ran a command"]),
        ([COMMAND], ["It never read a file"]),
        ([READ, READ, COMMAND], ["It only ever looked at a.py", "It read but changed nothing"]),
        ([READ, READ_OTHER, COMMAND], ["It read but changed nothing"]),
        ([READ, EDIT, TEST, COMMAND], ["It only ever looked at a.py"]),
        ([READ, READ_OTHER, EDIT, COMMAND], ["It changed files but never ran a test"]),
        ([EDIT, COMMAND], ["It never read a file", "It changed files but never ran a test"]),
        ([READ, READ_OTHER, EDIT, TEST], ["It never ran a command"]),
        ([READ, READ_OTHER, EDIT, TEST, COMMAND], ["It read, changed, ran and tested"]),
    ],
)
def test_what_was_never_tried_is_told_with_what_to_supply(actions: list[ActionRecord], beginnings: list[str]) -> None:
    said = suggest_next_steps(BeadHistory.of(actions))
    assert [sentence[: len(beginning)] for sentence, beginning in zip(said, beginnings, strict=True)] == beginnings
    for sentence in said:
        assert sentence.endswith(".")
        assert "name the" in sentence or "say " in sentence


def test_what_was_done_long_ago_was_tried() -> None:
    actions = [READ, READ_OTHER, EDIT, TEST, *[COMMAND] * 100]
    assert suggest_next_steps(BeadHistory.of(actions))[0].startswith("It read, changed, ran and tested")


def test_a_shell_is_all_that_some_agents_have() -> None:
    done = ["ls", "cat a.py", "sed -i s/a/b/ a.py", "pytest -q"]
    actions = [act("bash", command) for command in done]
    assert suggest_next_steps(BeadHistory.of(actions))[0].startswith("It read, changed, ran and tested")
    assert [sentence[:21] for sentence in suggest_next_steps(BeadHistory.of(actions[:1]))] == [
        "It only ever looked a",
        "It read but changed n",
    ]
