"""How long a look at a project holds, and what several checks together say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dispatch.models.guarding import CheckedReadiness, Readiness
from dispatch.models.identity import ProjectId
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.readiness.checking import FRESH, USABLE, blocking_reason, current, is_due, merged
from dispatch.settings import RoleSettings, Settings

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
SHOP = ProjectId("shop")
SETTINGS = Settings(home=Path("/srv/fleet"), roles={"qa": RoleSettings(aliases=("tester",))})


def _checked(*needed: str, ok: bool = True, issues: tuple[str, ...] = ()) -> CheckedReadiness:
    return CheckedReadiness(readiness=Readiness(ok=ok, issues=issues), needed=frozenset(needed), checked_at=NOON)


def test_several_are_ready_when_all_are_and_each_issue_is_told_once() -> None:
    good, bad = Readiness(ok=True, issues=("Dusty.",)), Readiness(ok=False, issues=("No roof.", "Dusty."))
    assert merged([]) == Readiness(ok=True)
    assert merged([good, good]) == good
    assert merged([good, bad]) == Readiness(ok=False, issues=("Dusty.", "No roof."))


def test_a_look_is_due_after_a_minute_and_holds_for_another() -> None:
    assert is_due(None, NOON)
    assert not is_due(_checked(), NOON + FRESH - timedelta(microseconds=1))
    assert is_due(_checked(), NOON + FRESH)
    assert current(_checked(), NOON + USABLE - timedelta(microseconds=1), (), SETTINGS) == Readiness(ok=True)
    assert current(_checked(), NOON + USABLE, (), SETTINGS) is None
    assert current(None, NOON, (), SETTINGS) is None


@pytest.mark.parametrize(
    ("needed", "served", "issue"),
    [
        ((), (), None),
        (("",), ("dev",), None),
        (("", "qa"), ("dev",), None),
        (("qa", "dev"), ("dev",), None),
        (("tester",), ("qa",), None),
        ((UNCLEAR_BUG, "qa"), ("dev",), None),
        (("",), (), "No live worker serves any role."),
        (("tester", "ops"), ("dev",), "No live worker serves any role that its beads need (ops, qa)."),
    ],
)
def test_one_needed_role_has_to_be_served(needed: tuple[str, ...], served: tuple[str, ...], issue: str | None) -> None:
    found = current(_checked(*needed), NOON, served, SETTINGS)
    assert found == Readiness(ok=issue is None, issues=(issue,) if issue else ())


def test_a_project_is_blocked_by_what_is_not_known_too() -> None:
    assert blocking_reason(SHOP, Readiness(ok=True, issues=("Dusty.",))) is None
    assert blocking_reason(SHOP, Readiness(ok=False, issues=("A.", "B."))) == "shop is not ready: A. B."
    assert blocking_reason(SHOP, Readiness(ok=False)) == "shop is not ready: its check gives no reason."
    assert blocking_reason(SHOP, None) == "Whether shop is ready is not known yet: the next tick looks."
