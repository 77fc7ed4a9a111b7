"""What a bead's past makes of the end of a run, as a table; its limit is four runs here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.bead import Bead
from dispatch.models.identity import AgentId, BeadId, ProjectId, uuid7
from dispatch.models.progress import CommitRange
from dispatch.models.run import ErrorRecord
from dispatch.models.settling import BeadEffect, Escalation, LookBack, Past
from dispatch.models.states import BeadEvent
from dispatch.results.limits import hold_to_limits, inform
from dispatch.settings import Settings
from tests.loops.actions import act, commands

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
SETTINGS = Settings.model_validate({"home": Path("/srv/home"), "guards": {"max_dispatch_hops": 4}})
FAILED = BeadEffect(event=BeadEvent.RETURN, reason="failed: tests", hops=1, failures=1, error="failed: tests\n1 failed")
A, B = AgentId(uuid7()), AgentId(uuid7())
PING_PONG = (A, B) * 3
OLD, NEW = commands(["cat a.py", "make"]), commands(["cat b.py"])


def _bead(hops: int = 0, **fields: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), title="Sell", project_id=ProjectId("shop"), hops=hops, **fields)


def _past(last: Sequence[Any] = NEW, **fields: Any) -> Past:
    return Past(**{"moment": NOON, "attempts": 7, "actions": OLD, "last_actions": last, **fields})


def _held(bead: Bead, effect: BeadEffect = FAILED, past: Past | None = None, settings: Settings = SETTINGS) -> Any:
    return hold_to_limits(bead, effect, past or _past(), settings)


# What it takes


@pytest.mark.parametrize(
    ("hops", "effect", "wanted"),
    [
        (2, FAILED, None),
        (3, FAILED, LookBack(actions=True)),
        (5, FAILED, LookBack(actions=True, agents=True)),
        (19, BeadEffect(event=BeadEvent.RETURN, reason="lost"), None),
        (19, BeadEffect(event=BeadEvent.FINISH, reason="done", hops=1), None),
        (19, BeadEffect(event=BeadEvent.AWAIT_LANDING, reason="done", hops=1), None),
        (19, BeadEffect(event=BeadEvent.LAND, reason="landed"), None),
        (3, BeadEffect(event=BeadEvent.BOUNCE, reason="landing: red"), None),
        (4, BeadEffect(event=BeadEvent.BOUNCE, reason="landing: red"), LookBack(actions=True)),
        (
            0,
            BeadEffect(event=BeadEvent.RETURN, reason="asks", escalation=Escalation(reason="", title="", body="")),
            LookBack(actions=True),
        ),
    ],
)
def test_the_past_is_asked_for_near_the_limits_only(hops: int, effect: BeadEffect, wanted: LookBack | None) -> None:
    assert hold_to_limits(_bead(hops), effect, None, SETTINGS) == (wanted or effect)


def test_far_from_the_hop_limit_only_the_agents_are_asked_for() -> None:
    far = Settings.model_validate({"home": Path("/srv/home")})
    assert hold_to_limits(_bead(4), FAILED, None, far) == FAILED
    assert hold_to_limits(_bead(5), FAILED, None, far) == LookBack(agents=True)
    assert hold_to_limits(_bead(5, triaged_at=NOON), FAILED, None, far) == LookBack(actions=True, agents=True)


# The hop limit


def test_a_bead_at_its_limit_goes_on_while_it_makes_progress() -> None:
    assert _held(_bead(3)) == FAILED
    assert _held(_bead(18)) == FAILED


@pytest.mark.parametrize(
    ("last", "why"),
    [((), "Its last run recorded no action."), (OLD, "Its last run did nothing that had not been done before")],
)
def test_one_without_progress_goes_to_a_human(last: Sequence[Any], why: str) -> None:
    effect = _held(_bead(3), past=_past(last))
    assert effect.escalation.reason == "no progress after 4 runs"
    assert why in effect.escalation.body
    assert (effect.event, effect.hops, effect.failures, effect.error) == (BeadEvent.RETURN, 1, 1, FAILED.error)


def test_the_rule_of_the_loop_is_that_of_the_settings() -> None:
    last = [act("edit", "a.py"), *commands(["pytest"] * 3, step=timedelta(minutes=2))]
    assert _held(_bead(3), past=_past(last)) == FAILED
    short = SETTINGS.guards.model_copy(update={"progress_window": timedelta(minutes=4)})
    effect = _held(_bead(3), past=_past(last), settings=SETTINGS.model_copy(update={"guards": short}))
    assert "`command pytest` 3 times" in effect.escalation.body
    slow = short.model_copy(update={"repeat_threshold": 4})
    assert _held(_bead(3), past=_past(last), settings=SETTINGS.model_copy(update={"guards": slow})) == FAILED


def test_at_five_times_the_limit_it_goes_to_a_human_whatever_it_does() -> None:
    effect = _held(_bead(19))
    assert effect.escalation.reason == "20 runs without an end"
    assert "its limit was 4 runs" in effect.escalation.body


def test_who_failed_too_often_in_a_row_is_told_so_and_not_that_it_made_no_progress() -> None:
    worn = BeadEffect(event=BeadEvent.RETURN, reason="r", hops=1, escalation=Escalation(reason="5", title="", body=""))
    assert _held(_bead(9), worn, _past(())).escalation.reason == "5"


def test_a_limit_that_was_raised_after_some_runs_counts_from_there() -> None:
    assert _held(_bead(6, hop_allowance=4), past=_past(())) == FAILED
    assert _held(_bead(7, hop_allowance=4), past=_past(())).escalation.reason == "no progress after 8 runs"
    assert _held(_bead(22, hop_allowance=4)) == FAILED
    effect = _held(_bead(23, hop_allowance=4))
    assert effect.escalation.reason == "24 runs without an end"
    assert "its limit was 8 runs" in effect.escalation.detail


# To and fro


@pytest.mark.parametrize(
    ("served", "role"),
    [
        ({"cto", "engineering-manager", "dev"}, "cto"),
        ({"engineering-manager", "dev"}, "engineering-manager"),
        ({"dev"}, ""),
    ],
)
def test_what_two_agents_pass_to_and_fro_goes_to_triage(served: set[str], role: str) -> None:
    effect = _held(_bead(5), past=_past(agents=PING_PONG, served_roles=frozenset(served)))
    assert effect.escalation is None
    assert effect.triage.role == role
    assert effect.triage.reason.startswith("Two agents passed it to and fro in 6 runs; triage: ")


def test_triage_goes_to_the_role_that_its_name_is_an_alias_of() -> None:
    roles = {"boss": {"aliases": ["cto"]}}
    settings = Settings.model_validate({"home": Path("/srv/home"), "roles": roles})
    past = _past(agents=PING_PONG, served_roles=frozenset({"boss"}))
    assert _held(_bead(5), past=past, settings=settings).triage.role == "boss"


def test_who_has_been_at_triage_goes_to_a_human_the_next_time() -> None:
    effect = _held(_bead(11, triaged_at=NOON), past=_past(agents=PING_PONG))
    assert effect.triage is None
    assert effect.escalation.reason == "two agents pass it to and fro"
    assert _held(_bead(11, triaged_at=NOON), past=_past(agents=(A,) * 6)) == FAILED


def test_a_loop_goes_to_a_human_and_not_to_triage() -> None:
    effect = _held(_bead(5), past=_past((), agents=PING_PONG, served_roles=frozenset({"cto"})))
    assert (effect.escalation.reason, effect.triage) == ("no progress after 6 runs", None)


# What a human is told


def test_an_escalation_carries_what_helps_to_decide() -> None:
    first = ErrorRecord(timestamp=NOON - timedelta(hours=1), error="failed: build", dispatch=6)
    bead = _bead(3, commits=CommitRange("a1", "b2", 2))
    escalation = _held(bead, past=_past(OLD, errors=[first])).escalation
    assert escalation.progress.startswith("Files read: 2, files modified: 0, tests run: 0, commands executed: 4, last")
    assert [sentence.split(":")[0] for sentence in escalation.suggestions] == [
        "It only ever looked at cat a.py",
        "It read but changed nothing",
    ]
    assert escalation.commits == CommitRange("a1", "b2", 2)
    assert escalation.errors == (first, ErrorRecord(timestamp=NOON, error="failed: tests\n1 failed", dispatch=7))


def test_the_commits_are_those_of_the_run_that_ends_when_it_left_any() -> None:
    ends = BeadEffect(event=BeadEvent.RETURN, reason="r", hops=1, commits=CommitRange("a1", "c3", 3))
    escalation = _held(_bead(3, commits=CommitRange("a1", "b2", 2)), ends, _past(())).escalation
    assert escalation.commits == CommitRange("a1", "c3", 3)


def test_what_ends_no_run_is_told_without_an_error_of_its_own() -> None:
    told = inform(Escalation(reason="r", title="T", body="B"), _bead(), _past((), actions=()))
    assert (told.reason, told.title, told.body, told.errors) == ("r", "T", "B", ())
    assert told.suggestions[0].startswith("It did nothing that was recorded")
