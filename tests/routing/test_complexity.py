"""How hard a bead is, and which runner it gets."""

from typing import Any

import pytest

from dispatch import Bead
from dispatch.models.identity import BeadId
from dispatch.routing import Complexity, Level, complexity_of

STEPS = "\n".join(f"- step {number}" for number in range(6))
FILES = " ".join(f"src/file{number}.py" for number in range(4))


def bead(title: str = "Show the sum", **fields: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), title=title, **fields)


@pytest.mark.parametrize(
    ("fields", "level", "reasons"),
    [
        ({}, Level.SIMPLE, ()),
        ({"issue_type": "bug", "description": "It is not shown."}, Level.SIMPLE, ()),
        ({"issue_type": "feature"}, Level.SIMPLE, ("it is of type feature",)),
        ({"issue_type": "spike"}, Level.MEDIUM, ("it is of type spike",)),
        ({"description": f"{STEPS}\n{FILES}"}, Level.MEDIUM, 2),
        ({"title": "Race condition between two tabs"}, Level.MEDIUM, ("it is about concurrency",)),
        ({"title": "Flaky deadlock in the migration"}, Level.COMPLEX, 3),
        ({"title": "Redesign the protocol", "issue_type": "feature"}, Level.COMPLEX, 3),
        ({"issue_type": "feature", "description": f"{STEPS}\n{FILES}\n{'word ' * 800}"}, Level.COMPLEX, 4),
        ({"title": "Fix typos in the migration guide"}, Level.SIMPLE, 2),
        ({"description": "Think of security, latency, locking and migrations."}, Level.MEDIUM, 2),
        ({"description": "The secure, locked-out, scaled user"}, Level.SIMPLE, ()),
    ],
)
def test_type_and_text_tell_how_hard_it_is(
    fields: dict[str, Any], level: Level, reasons: tuple[str, ...] | int
) -> None:
    found = complexity_of(bead(**fields), 0)
    assert found.level == found.work == level, found
    assert len(found.reasons) == reasons if isinstance(reasons, int) else found.reasons == reasons


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"priority": 0}, "it has priority 0"),
        ({"priority": 0, "title": "Fix a typo"}, "it has priority 0"),
        ({"issue_type": "bug", "title": "Investigate the slow list"}, "it asks for a decision"),
        ({"title": "Decide which list to keep"}, "it asks for a decision"),
        ({"title": "RFC: lists"}, "it asks for a decision"),
    ],
)
def test_priority_0_and_decisions_are_at_least_medium(fields: dict[str, Any], reason: str) -> None:
    found = complexity_of(bead(**fields), 0)
    assert found.work == Level.MEDIUM
    assert reason in found.reasons


def test_a_floor_says_nothing_where_the_work_is_harder_anyway() -> None:
    found = complexity_of(bead("Decide how to redesign the distributed locking", priority=0), 0)
    assert found.work == Level.COMPLEX
    assert "it has priority 0" not in found.reasons


def test_failures_make_it_harder_and_are_the_last_reason() -> None:
    levels = [complexity_of(bead(), failures) for failures in range(4)]
    assert [found.level for found in levels] == [Level.SIMPLE, Level.MEDIUM, Level.COMPLEX, Level.COMPLEX]
    assert [found.work for found in levels] == [Level.SIMPLE] * 4
    assert [found.reasons for found in levels[1:3]] == [
        ("it failed 1 time in a row",),
        ("it failed 2 times in a row",),
    ]


@pytest.mark.parametrize(
    ("count", "first"),
    [(1, [0, 0, 0]), (2, [0, 1, 1]), (3, [0, 1, 2]), (4, [0, 2, 3]), (5, [0, 2, 4])],
)
def test_harder_work_begins_with_a_stronger_runner(count: int, first: list[int]) -> None:
    assert [Complexity(work, 0, ()).runner_index(count) for work in Level] == first


def test_each_failure_takes_the_next_stronger_runner_up_to_the_strongest() -> None:
    assert [Complexity(Level.SIMPLE, failures, ()).runner_index(3) for failures in range(5)] == [0, 1, 2, 2, 2]
    assert [Complexity(Level.MEDIUM, failures, ()).runner_index(3) for failures in range(3)] == [1, 2, 2]
    assert [Complexity(Level.COMPLEX, failures, ()).runner_index(3) for failures in range(3)] == [2, 2, 2]


def test_a_role_without_runners_has_none_to_choose() -> None:
    with pytest.raises(ValueError, match="without runners"):
        Complexity(Level.SIMPLE, 0, ()).runner_index(0)
