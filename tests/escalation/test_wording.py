"""The words of an escalation: what happened, and why."""

import pytest

from dispatch.escalation import asked, looping, ping_pong, returned, settle_broken, too_many_runs, worn_out
from dispatch.models.bead import Bead
from dispatch.models.decision import EscalationKind
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.models.settling import Escalation

BEAD = Bead(id=BeadId("shop-1"), title="Sell more", project_id=ProjectId("shop"), role_hint="dev")


def test_a_worn_out_bead_tells_its_last_error_and_who_had_it() -> None:
    escalation = worn_out(BEAD, 5, "failed: tests\n1 failed")
    assert escalation.kind is EscalationKind.FAILED
    assert escalation.title == "Decide about shop-1: 5 runs in a row failed"
    assert escalation.reason == "5 runs in a row failed"
    assert escalation.returned_to == "dev"
    assert "Sell more" in escalation.body
    assert "failed: tests\n1 failed" in escalation.body


@pytest.mark.parametrize(
    ("escalation", "kind", "reason", "detail"),
    [
        (looping(BEAD, 20, "It runs `make`."), EscalationKind.LOOPING, "no progress after 20 runs", "It runs `make`."),
        (too_many_runs(BEAD, 100, 20), EscalationKind.LIMIT, "100 runs without an end", "its limit was 20 runs"),
        (ping_pong(BEAD), EscalationKind.PING_PONG, "two agents pass it to and fro", "It was at triage"),
    ],
)
def test_what_lies_behind_the_reason_is_told(
    escalation: Escalation, kind: EscalationKind, reason: str, detail: str
) -> None:
    assert (escalation.kind, escalation.reason) == (kind, reason)
    assert escalation.title == f"Decide about shop-1: {reason}"
    assert detail in escalation.detail
    assert escalation.body == f"Sell more\n\n{escalation.detail}"
    assert escalation.returned_to == "dev"


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Which colour?", "Answer shop-1: Which colour?"),
        ("Which colour?\nRed or blue.", "Answer shop-1: Which colour?"),
        ("\n  Which colour?", "Answer shop-1: Which colour?"),
        ("", "Answer shop-1: its agent asks"),
        (" \n ", "Answer shop-1: its agent asks"),
    ],
)
def test_a_question_is_in_the_title_in_one_line_and_whole_in_the_body(question: str, title: str) -> None:
    escalation = asked(BEAD, question)
    assert escalation.kind is EscalationKind.QUESTION
    assert escalation.title == title
    assert escalation.question == question
    assert question in escalation.body


def test_a_broken_settle_names_the_run_and_the_cause() -> None:
    escalation = settle_broken(BEAD, "run-7", "IntegrityError: steps")
    assert escalation.kind is EscalationKind.UNSETTLED
    assert escalation.title == "Mend shop-1: its result cannot be settled"
    assert "run-7" in escalation.body
    assert "IntegrityError: steps" in escalation.detail
    assert escalation.returned_to is None


@pytest.mark.parametrize(
    ("reason", "short", "detail"),
    [
        ("It needs a key.", "It needs a key.", ""),
        ("\nIt needs a key.\nAsk the bank.", "It needs a key.", "\nIt needs a key.\nAsk the bank."),
    ],
)
def test_what_is_given_back_is_so_for_the_first_line_of_the_reason(reason: str, short: str, detail: str) -> None:
    escalation = returned(BEAD, reason, "qa")
    assert (escalation.reason, escalation.detail, escalation.returned_to) == (short, detail, "qa")
    assert escalation.title == f"Decide about shop-1: {short}"
    assert returned(BEAD, reason, None).returned_to == "dev"


@pytest.mark.parametrize("hint", ["", UNCLEAR_BUG])
def test_a_bead_that_named_no_role_is_returned_to_none(hint: str) -> None:
    assert worn_out(Bead(id=BeadId("a"), title="a", role_hint=hint), 5, "x").returned_to is None
