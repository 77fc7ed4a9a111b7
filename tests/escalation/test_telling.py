"""A decision in words: all that a human needs is in the text of its bead."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dispatch.escalation import asked, by_hand, command, describe, meaning, offer, worn_out
from dispatch.models.bead import Bead
from dispatch.models.decision import EscalationKind, Option
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.progress import CommitRange
from dispatch.models.run import ErrorRecord

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
BEAD = Bead(id=BeadId("shop-1"), title="Sell more", project_id=ProjectId("shop"), role_hint="dev")
KEY = BeadKey.of("shop", "shop-d")


def _errors(*texts: str) -> tuple[ErrorRecord, ...]:
    return tuple(ErrorRecord(timestamp=NOON, error=text, dispatch=number) for number, text in enumerate(texts, 1))


def test_the_text_has_reason_progress_help_commits_errors_and_options() -> None:
    escalation = replace(
        worn_out(BEAD, 5, "failed: tests"),
        progress="Files read: 3.",
        suggestions=("Name the files.", "Say how it is built."),
        commits=CommitRange("a" * 40, "b" * 40, 2),
        errors=_errors("failed: build\nno rule", "failed: tests"),
    )
    text = describe(escalation, offer(escalation), KEY)
    assert text.startswith("Sell more\n\nThe last error was:\n\nfailed: tests\n\n")
    assert "Its runs so far were for the role dev." in text
    assert "What its agents did: Files read: 3." in text
    assert "Their work: 2 commits, aaaaaaaaaaaa to bbbbbbbbbbbb" in text
    assert "What may help:\n- Name the files.\n- Say how it is built." in text
    assert "- attempt 1: failed: build\n  no rule" in text
    assert "attempt 2" not in text, "the last error is told above"
    assert f"- `{command(Option.RETRY, KEY)}`: its next run gets your advice (recommended: nobody" in text
    assert "- `dispatch decide shop/shop-d close --reason 'why not'`: it is not done\n\n" in text
    assert text.endswith("lets it go on too, with the reason as your advice.")


def test_what_there_is_nothing_to_say_of_is_left_out() -> None:
    escalation = asked(replace(BEAD, role_hint=""), "Red or blue?")
    text = describe(escalation, offer(escalation), KEY)
    assert text.startswith("Red or blue?\n\nWhat you can decide:\n- `dispatch decide shop/shop-d answer")
    assert text.endswith("with the reason as your answer.")


def test_an_endless_error_is_cut() -> None:
    escalation = replace(worn_out(BEAD, 5, "x"), errors=_errors("y" * 100_000))
    assert len(describe(escalation, offer(escalation), KEY)) < 6_000


@pytest.mark.parametrize("option", [option for option in Option if option is not Option.MOOT])
@pytest.mark.parametrize("bead_id", ["shop-1", "it's mine"])
def test_a_command_is_typed_as_it_stands(option: Option, bead_id: str) -> None:
    words = shlex.split(command(option, BeadKey.of("shop", bead_id)))
    assert words[:4] == ["dispatch", "decide", f"shop/{bead_id}", option]


@pytest.mark.parametrize("kind", EscalationKind)
def test_every_option_says_what_it_does(kind: EscalationKind) -> None:
    assert all(meaning(option, kind) for option in Option)


def test_trying_again_means_what_it_does_there() -> None:
    assert meaning(Option.RETRY, EscalationKind.UNSETTLED) == "its result is settled once more"
    assert meaning(Option.RETRY, EscalationKind.LIMIT) == "it gets one more run, with your advice"


@pytest.mark.parametrize(
    ("options", "meant"),
    [((Option.ANSWER, Option.CLOSE), Option.ANSWER), ((Option.RETRY, Option.CLOSE), Option.RETRY)],
)
def test_closing_by_hand_lets_it_go_on(options: tuple[Option, ...], meant: Option) -> None:
    assert by_hand(options) is meant
