"""The words of a decision: what happened, and what a human can do."""

import pytest

from dispatch.escalation import asked, settle_broken, worn_out
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId

BEAD = Bead(id=BeadId("shop-1"), title="Sell more", project_id=ProjectId("shop"), role_hint="dev")
HOW = "`dispatch close shop/DECISION --reason 'your advice'`"


def test_a_worn_out_bead_tells_its_last_error_and_who_had_it() -> None:
    escalation = worn_out(BEAD, 5, "failed: tests\n1 failed")
    assert escalation.title == "Decide about shop-1: 5 runs in a row failed"
    assert escalation.reason == "5 runs in a row failed"
    assert escalation.returned_to == "dev"
    assert "Sell more" in escalation.body
    assert "failed: tests\n1 failed" in escalation.body
    assert HOW in escalation.body


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
    assert escalation.title == title
    assert question in escalation.body
    assert HOW in escalation.body


def test_a_broken_settle_names_the_run_and_the_cause() -> None:
    escalation = settle_broken(BEAD, "run-7", "IntegrityError: steps")
    assert escalation.title == "Mend shop-1: its result cannot be settled"
    assert "run-7" in escalation.body
    assert "IntegrityError: steps" in escalation.body
    assert escalation.returned_to is None


def test_a_bead_that_named_no_role_is_returned_to_none() -> None:
    assert worn_out(Bead(id=BeadId("a"), title="a"), 5, "x").returned_to is None
