"""What a program that only writes text says of how it ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.context import LAST_WORD
from dispatch.models.messages import LessonEvent, ResultEvent
from workers.runners.programs.base import Spoken
from workers.runners.programs.causes import cause_of
from workers.runners.programs.last_words import lessons_of, result_of


def ends(message, *, is_review=False, **spoken):
    return result_of(Spoken(message=message, **spoken), is_review=is_review)


def test_each_of_the_words_is_understood():
    assert ends("I did it.\n\nDISPATCH: completed: It greets.") == ResultEvent(
        outcome="completed", summary="It greets."
    )
    assert ends("DISPATCH: nothing_to_do: It was there.") == ResultEvent(
        outcome="completed", nothing_to_do=True, summary="It was there."
    )
    assert ends("DISPATCH: needs_input: Which one?") == ResultEvent(outcome="needs_input", question="Which one?")
    assert ends("DISPATCH: failed: no compiler\nThere is no cc.") == ResultEvent(
        outcome="failed", cause="no compiler", summary="no compiler\nThere is no cc."
    )
    assert ends("DISPATCH: approved: I read it all.", is_review=True).verdict == "approved"
    rejected = ends("DISPATCH: rejected: Two things.\n- a test\n- the name", is_review=True)
    assert (rejected.verdict, rejected.summary) == ("rejected", "Two things.\n- a test\n- the name")


@pytest.mark.parametrize(
    "line",
    [
        "**DISPATCH: completed: Done**",
        "> `DISPATCH: completed: Done`",
        "- dispatch: Completed - Done",
        "DISPATCH:completed:Done",
        "```\nDISPATCH: completed: Done\n```",
        "DISPATCH: failed: first\nDISPATCH: completed: Done",
        "DISPATCH: completed: Done\nDISPATCH: lesson: a: b",
    ],
)
def test_how_it_is_written_does_not_matter_and_the_last_one_counts(line):
    assert ends(line) == ResultEvent(outcome="completed", summary="Done")


@pytest.mark.parametrize("message", ["", "I say DISPATCH: failed: here", "DISPATCH: dance: now", "DISPATCHED: failed"])
def test_other_words_are_none(message):
    assert ends(message) in (None, ResultEvent(outcome="completed", summary=message))


def test_a_reviewer_has_to_say_a_verdict():
    for message in ("It looks fine.", "DISPATCH: completed: It looks fine.", ""):
        outcome = ends(message, is_review=True)
        assert (outcome.outcome, outcome.cause) == ("failed", "no verdict")
    assert ends("DISPATCH: needs_input: Is this wanted?", is_review=True).outcome == "needs_input"


def test_an_error_goes_before_what_was_said():
    outcome = ends("DISPATCH: completed: Done", failure="unexpected status 401 Unauthorized")
    assert (outcome.outcome, outcome.cause) == ("failed", "API key refused")


def test_a_permission_that_nobody_gave_reaches_a_human_unless_the_program_found_another_way():
    asked = ends("", denied=["write /etc/hosts", "write /etc/hosts"])
    assert asked.outcome == "needs_input"
    assert asked.question.count("write /etc/hosts") == 1
    assert ends("May I write to /etc/hosts?", denied=["write /etc/hosts"]).outcome == "needs_input"
    assert ends("I wrote it here instead.", denied=["write /etc/hosts"]).outcome == "completed"
    assert ends("DISPATCH: completed: Done", denied=["write /etc/hosts"]).outcome == "completed"


def test_lessons_are_told_by_title_and_detail():
    message = "DISPATCH: lesson: Prices: are in cents\nand net\nDISPATCH: lesson: short\nDISPATCH: completed: Done"
    assert lessons_of(message) == [
        LessonEvent(title="Prices", detail="are in cents\nand net"),
        LessonEvent(title="short", detail="short"),
    ]


@given(st.text(max_size=300))
def test_whatever_comes_before_it_the_last_line_is_understood(text):
    assert ends(f"{text}\n{LAST_WORD} completed: Done") == ResultEvent(outcome="completed", summary="Done")


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("unexpected status 401 Unauthorized: bad key, url: http://x", "API key refused"),
        ("Invalid API key · Please run /login", "API key refused"),
        ("API Error: 529 overloaded_error", "model overloaded"),
        ("Rate limit reached for gpt in organization org-1", "model overloaded"),
        ("Your credit balance is too low", "no credit left"),
        ("prompt is too long: 212000 tokens > 200000 maximum", "context too long"),
        ("The model `gpt-9` does not exist", "unknown model"),
        ("stream disconnected before completion: error sending request", "model unreachable"),
        ("error_max_turns", "turns used up"),
        ("something else", "program error"),
    ],
)
def test_equal_failures_have_one_cause(message, cause):
    assert cause_of(message) == cause
